/** The record of a backup's run (src/model/run.ts), which the store gets with the end of its set. */
import { unlessBug } from '../errors/index.js';
import { countErrors, MAX_RUN_ROOTS, rootId, type RunRecord, shownRoot } from '../model/index.js';
import type { BackupProgress } from '../pipeline/index.js';
import type { System } from '../system/index.js';
import { keptPaths, type RootPaths } from './roots.js';
import { type StreamSource, streamPath } from './stream-roots.js';

/** Directories and streams of a backup, and how they are stored. */
export interface BackupSources extends Omit<RootPaths, 'streams'> {
  readonly directories: readonly Buffer[];
  readonly streams: readonly Pick<StreamSource, 'name'>[];
}

export interface RunReport {
  /** The run as it began. */
  readonly run: RunRecord;
  /** Records of earlier runs that did not reach the store. */
  readonly earlier: readonly RunRecord[];
  /** The sources that the configuration has; undefined if there is no configuration. */
  readonly configured: BackupSources | undefined;
}

/** A record, and the paths whose ids it gets as those of its configured roots. */
export interface ClosingRun {
  readonly run: RunRecord;
  readonly configured: readonly Buffer[] | undefined;
}

/** Returns the paths of sources as a user sees them in a set, also of those that are missing. Throws USAGE as `keptPaths` does. */
export function sourcePaths({ directories, streams, ...how }: BackupSources): Buffer[] {
  const dumps = streams.map(({ name }) => shownRoot(streamPath(name)));
  return [...dumps, ...keptPaths(directories, how)];
}

/** Returns the record of a backup that is about to close a set. */
export function closingRun(
  { clock }: Pick<System, 'clock'>,
  { run, configured }: RunReport,
  progress: BackupProgress,
): ClosingRun {
  const { entries, scannedBytes, sentBytes, filesRead } = progress;
  const unread = countErrors(progress);
  return {
    run: {
      ...run,
      end: unread === 0 ? 'done' : 'partly',
      endedMs: clock.nowMs(),
      numbers: {
        ...run.numbers,
        entries,
        bytes: scannedBytes,
        sentBytes,
        files: filesRead,
        unread,
      },
    },
    configured: configured && unlessBug(() => sourcePaths(configured))?.slice(0, MAX_RUN_ROOTS),
  };
}

/** Returns a record with the ids of its configured roots; `seal` seals a path if the client encrypts. */
export function withRoots(
  { run, configured }: ClosingRun,
  seal: (path: Buffer) => Buffer,
): RunRecord {
  return configured === undefined
    ? run
    : { ...run, configured: configured.map((path) => rootId(seal(path))) };
}
