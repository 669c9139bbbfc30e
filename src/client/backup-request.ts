/** The request, the hooks and the result of a backup. */
import type { RatePeriod } from '../config/index.js';
import type { ExcludeOptions } from '../excludes/index.js';
import type { PlainConfig, SetMarks, SetNumber } from '../model/index.js';
import type {
  BackupProgress,
  PipelineHooks,
  PipelineSettings,
  StageFigures,
} from '../pipeline/index.js';
import type { Address } from '../system/index.js';
import type { Head, InnerListener, Patience, Retry, TlsOptions } from '../transport/index.js';
import type { Credentials, Elsewhere } from '../transport/login/index.js';
import type { JobRunner } from '../workers/index.js';
import type { BasePath } from './roots.js';
import type { RunReport } from './run-report.js';
import type { Settled } from './settling.js';
import type { SnapshotShown } from './snapshots.js';
import type { StreamSource } from './stream-roots.js';

export interface BackupRequest {
  readonly client: string;
  readonly create: boolean;
  readonly credentials?: Credentials;
  /** TLS options; undefined if TLS is not used. */
  readonly tls?: TlsOptions | undefined;
  /** How the client follows a server's reference to another server; undefined if it follows none. */
  readonly elsewhere?: Elsewhere | undefined;
  /** Name of the set; if empty, the server chooses one. */
  readonly setName: string;
  /** Date of the set, in milliseconds since 1970; undefined for the present. */
  readonly datedMs?: number | undefined;
  /** Marks to store with the set. */
  readonly marks?: Pick<SetMarks, 'priority' | 'isExpendable' | 'tags'>;
  /** Settings of this run, stored with the set for later inspection; undefined if they are not stored. */
  readonly config?: PlainConfig | undefined;
  /** The record of this run, for the journal of the client; undefined if none is kept. */
  readonly report?: RunReport | undefined;
  /** True if the directories are those of a past state, with paths without links (`RootPaths`). */
  readonly areExact?: boolean;
  /** Paths as bytes; relative paths start at the working directory. */
  readonly directories: readonly Buffer[];
  /** Outputs of commands, and standard input, to be stored as files. */
  readonly streams?: readonly StreamSource[];
  readonly excludes: ExcludeOptions;
  readonly crossDevices?: boolean;
  /** `auto`: the directories are read in snapshots, where their file systems have these. */
  readonly snapshot?: 'no' | 'auto';
  /** True if the contents of block devices that are named are saved, instead of their nodes. */
  readonly readDevices?: boolean;
  /** Directories at this depth are not entered; 0 means no limit. */
  readonly maxDepth?: number;
  readonly basePath?: BasePath;
  /** For each directory, the path under which it is stored in the set. */
  readonly keptAs?: readonly Buffer[];
  /** True if the roots are accepted as they are, even if they are suddenly empty. */
  readonly trustRoots?: boolean;
  /** True if the server is requested to purge old sets by its rules once this set is complete. */
  readonly purge?: boolean;
  /**
   * True if the backup waits until the server has finished its work after the set. Needed if the server ends with this
   * process. A purge is always awaited.
   */
  readonly waits?: boolean;
  /** True if no deltas are sent, and contents that are stored as deltas are replaced with whole ones. */
  readonly full?: boolean;
  readonly settings: PipelineSettings;
  readonly compressMessages: boolean;
  /** Upload limits by time of day; undefined for no limit. */
  readonly rates?: readonly RatePeriod[] | undefined;
  readonly timeoutMs: number;
  /** Retries of a lost connection; undefined for none. */
  readonly patience?: Patience;
}

export interface BackupHooks extends PipelineHooks {
  /** Called when the pipeline starts, and again when a lost session is started over. */
  onStart(progress: BackupProgress): void;
  /** Called when the set is open, with the server's report about earlier sets. */
  onOpened?(opened: Head<'setOpened'>): void;
  /** Called before a connection that was lost, or could not be made, is tried again. */
  onRetry?(retry: Retry): void;
  /** Called when the server has dropped the session. The backup then begins another one. */
  onRestart?(): void;
}

export interface BackupResult {
  readonly set: SetNumber;
  readonly setName: string;
  readonly elapsedMs: number;
  readonly progress: BackupProgress;
  /** Number of directories that could not be opened, of which the set has no root. */
  readonly missing: number;
  readonly stages: readonly StageFigures[];
  /** Number of bytes that the server wrote, including metadata. */
  readonly storedBytes: number;
  /** True if the journal of the store has the records of the run and of those before it. */
  readonly isRecorded: boolean;
  readonly wireBytes: number;
  /** The part of `wireBytes` that was sent again because a connection was lost. */
  readonly resentBytes: number;
  /** Number of lost connections that were replaced. `restarts` counts lost sessions that were started over. */
  readonly replacedConnections: number;
  readonly restarts: number;
  readonly peakInFlightBytes: number;
  /** Directories that were read in a snapshot, and those that were not, with the reason; undefined if none was requested. */
  readonly snapshots?: readonly SnapshotShown[];
  /** Texts of warnings about a set that is complete. */
  readonly doubts: readonly string[];
  /** Losses of earlier sets that the server found when this backup began; undefined if there are none. */
  readonly lost?: { readonly doubtfulUpTo: SetNumber; readonly records: number };
  /** Quota of the account that owns the client, if it has one. `usedBytes` is measured at the end of the set. */
  readonly quotaBytes?: number;
  readonly usedBytes?: number;
  /** Result of the server's work after the set; undefined if it was not awaited. */
  readonly settled?: Settled | undefined;
  /** Limit of the bytes in flight, and so of `peakInFlightBytes`. */
  readonly budgetBytes: number;
}

/** Input of a backup: the server's address, the job runner, the request and the hooks. */
export interface BackupTask {
  /** Resolves with the server's address once the server listens. */
  readonly reach: () => Promise<Address | InnerListener>;
  readonly openJobs: () => Promise<JobRunner>;
  /** Takes the runner of a backup that succeeded. It is closed otherwise. */
  readonly keepJobs?: ((jobs: JobRunner) => void) | undefined;
  readonly request: BackupRequest;
  readonly hooks: BackupHooks;
  /** Aborting it ends the backup as INTERRUPTED. */
  readonly signal?: AbortSignal | undefined;
}
