/** Background jobs: long work on a client's store that runs in a thread of its own, so that no session waits. */
import type { WireError } from '../../errors/index.js';
import type { StoreLimits } from '../../store/writer/index.js';
import type { ForgetReport, ForgetRequest } from '../../model/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { ReadRequest } from '../../maintenance/check/index.js';
import type { SnapshotFacts } from '../../maintenance/rewrite/index.js';
import type { Channel } from '../../system/index.js';
import type { Body } from '../../transport/index.js';

export type JobWork =
  /** Checks the store; with `mark`, damage is recorded in the store. */
  | { readonly kind: 'check'; readonly read: ReadRequest; readonly mark: boolean }
  /** Runs garbage collection, even if nothing indicates that there is garbage. */
  | { readonly kind: 'free'; readonly graceMs: number; readonly wasteRatio: number }
  /** Copies the catalog to a file in a private folder, for a copy of the client. */
  | { readonly kind: 'snapshot'; readonly file: string }
  /** Examines a catalog from a peer, in a private folder, before a copy of its client uses it. */
  | { readonly kind: 'examine'; readonly file: string }
  /** Computes what forgetting these paths would remove. */
  | { readonly kind: 'preview'; readonly paths: readonly Uint8Array[] }
  /** Rewrites a client that does not encrypt, without the paths that are due to be forgotten. */
  | { readonly kind: 'forget'; readonly requests: readonly Passed[]; readonly skipFile: string };

/** A request to forget a path, as passed to another thread. */
type Passed = Omit<ForgetRequest, 'path'> & { readonly path: Uint8Array };

type News = Body<'workIs'>;

/** Progress of a job; `of` is undefined if the total is unknown. */
export type JobProgress = NonNullable<News['progress']>;

/** A finding as it is sent to readers. */
export type ReportedFinding = News['findings'][number];

/** The result of a job. Results of a check and of garbage collection are sent to the reader. */
type ReportedResult = NonNullable<News['result']>;
export type JobResult =
  | ReportedResult
  | { readonly kind: 'preview'; readonly report: ForgetReport }
  | { readonly kind: 'snapshot'; readonly facts: SnapshotFacts }
  | { readonly kind: 'examine' }
  | { readonly kind: 'forget' };

/** Data with which the thread is started. */
export interface JobTask {
  readonly directory: ClientDirectory;
  readonly limits: StoreLimits;
  readonly umask: number | undefined;
  readonly work: JobWork;
}

/** The channel to the thread of a job. */
export interface JobChannel extends Channel {
  readonly data: JobTask;
  readonly toThread: 'stop';
  readonly fromThread: FromJob;
}

/** Messages from the thread. */
export type FromJob =
  | { readonly op: 'finding'; readonly finding: ReportedFinding }
  | { readonly op: 'progress'; readonly progress: JobProgress }
  | { readonly op: 'done'; readonly result: JobResult }
  | { readonly op: 'failed'; readonly error: WireError };
