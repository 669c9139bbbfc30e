/** The request and the result of a restore. */
import type { History } from '../history/index.js';
import type { JobRunner } from '../workers/index.js';
import type { FoldedNames } from './folded-names.js';
import type { Resume } from './journal.js';
import type { PolicyOptions } from './policy.js';
import type { RestoreFailure, RestoreProgress } from './progress.js';
import type { Selection } from './walk.js';

export interface RestoreRequest extends Selection {
  readonly output: Buffer;
  readonly workers: number;
  readonly policy?: PolicyOptions;
  /** False to restore the names of a hard-linked file as separate files. */
  readonly hardLinks?: boolean;
  /** True to restore owners by their numbers, not by their names. */
  readonly numericIds?: boolean;
  /** Names in the output, shared by all restores of one command into one output; undefined for a single restore. */
  readonly foldedNames?: FoldedNames | undefined;
  /** Directories and files, by their paths without links, that stay as they are with all that is in them. */
  readonly guarded?: readonly Buffer[];
  /** The tree of an earlier set, from which equal entries are taken over. */
  readonly earlier?: EarlierTree | undefined;
  /** True if no further run repeats this restore, so that it leaves nothing behind for one. */
  readonly isFinal?: boolean;
  /** True to inspect and count only, and create nothing. */
  readonly dryRun?: boolean;
}

/** A tree that a restore of another set has written, on the file system of the output. */
export interface EarlierTree {
  readonly directory: Buffer;
  /** True if its set has the same entry at a path, which is relative to the tree. */
  isEqual(path: Buffer): boolean;
}

export interface RestoreResult {
  readonly failures: RestoreFailure[];
  /** State of the earlier run that this one continued; undefined if there was none. */
  readonly resume: Resume | undefined;
  /** Descriptions of attributes that the file system of the target accepts without an error but does not keep. */
  readonly losses: readonly string[];
}

/** The objects that a restore uses. */
export interface RestoreMeans {
  readonly history: History;
  readonly jobs: JobRunner;
  readonly progress: RestoreProgress;
  readonly signal?: AbortSignal | undefined;
}

/** The objects that writing a stream uses. */
export type StreamMeans = Omit<RestoreMeans, 'jobs'>;
