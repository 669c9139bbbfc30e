/**
 * The interface for changing what is stored of a client: sets, their marks, paths to forget, and settings. Every tool
 * that changes these uses it, on a store on this machine or through a server. Texts and paths are in the clear.
 */
import type { BackupSet, History, Verdicts } from '../../history/index.js';
import type { Keyring } from '../../crypto/index.js';
import type { PurgeRequest } from '../gc/index.js';
import type { CheckCounts, Finding, ReadRequest } from '../check/index.js';
import type { ForgetReport, ForgetRequest, SetChange, SetNumber } from '../../model/index.js';
import type { RetentionRules, RuleWords } from '../../retention/index.js';

/** Progress of long work; `of` is undefined if the total is unknown. */
export interface WorkProgress {
  readonly step: string;
  readonly done: number;
  readonly of?: number;
}

export interface WorkHooks {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: WorkProgress) => void;
}

/** The result of a check where the store is. */
export interface FarCheck extends CheckCounts {
  /** False if encrypted data was only compared with checksums. */
  readonly isOpened: boolean;
  readonly isForgetful: boolean;
  /** The error that prevented marking what was found; undefined if there was none. */
  readonly notMarked: { readonly code: string; readonly message: string } | undefined;
  /** Number of findings that were not sent, since there were too many. */
  readonly omitted: number;
}

/** The result of garbage collection where the store is. */
export interface FarFreed {
  readonly isDone: boolean;
  readonly contents: number;
  readonly packs: number;
  readonly freedBytes: number;
  readonly deletedFiles: number;
  readonly deletedBytes: number;
}

/** Long work that a server does on the store that it has. */
export interface FarWork {
  /** The history of the session. Closing it ends the session. */
  readonly history: History;
  /** Checks the store. Throws NOT_PERMITTED, CONNECTION_LOST, INTERRUPTED. */
  check(
    wish: { readonly read: ReadRequest; readonly mark: boolean },
    hooks: WorkHooks & { readonly onFinding: (finding: Finding) => void },
  ): Promise<FarCheck>;
  /** Runs garbage collection. Throws NOT_PERMITTED, CLIENT_BUSY, CONNECTION_LOST, INTERRUPTED. */
  free(hooks: WorkHooks): Promise<FarFreed>;
}

/** Every change may throw CLIENT_BUSY; through a server also NOT_PERMITTED and CONNECTION_LOST. */
export interface Admin {
  /** Undefined if nothing is encrypted, or if the keys are not available here. */
  readonly keyring: Keyring | undefined;
  /** Present if the store is on a server, which does long work itself. */
  readonly far: FarWork | undefined;
  /** Returns the listed sets, oldest first. */
  sets(): Promise<BackupSet[]>;
  /** Deletes sets. Throws NO_SUCH_SET, SET_IS_NEWEST, SET_LOCKED, SET_TOO_YOUNG. */
  drop(sets: readonly SetNumber[]): Promise<void>;
  /** Throws the errors that deleting these sets would throw now. */
  previewDrop(sets: readonly SetNumber[]): Promise<void>;
  /** Returns the sets that a purge would delete or keep: by these rules, or through a server by the server's. */
  previewPurge(wish: PurgeRequest): Promise<Verdicts>;
  /** Deletes the sets that a preview listed. A server decides again, and returns its result. */
  purge(gone: readonly SetNumber[]): Promise<Verdicts | undefined>;
  /**
   * Returns the retention rules stored with the client; `words` supply the priorities and all rules that are not
   * stored. Undefined if none are stored, or if a server applies them.
   */
  keptRules(words: RuleWords): RetentionRules | undefined;
  /** Changes marks of all these sets, or of none. Throws NO_SUCH_SET, MARKS_INVALID. */
  mark(sets: readonly SetNumber[], wish: SetChange): Promise<void>;
  /** Returns the pending requests to forget paths. */
  forgets(): Promise<readonly ForgetRequest[]>;
  /** Returns the data that would be deleted if these paths were forgotten now. */
  previewForget(paths: readonly Buffer[]): Promise<ForgetReport>;
  /** Requests that paths be forgotten after `undoMs`, which a server may lengthen. Returns the requests. */
  askToForget(paths: readonly Buffer[], undoMs: number): Promise<readonly ForgetRequest[]>;
  /** Withdraws requests to forget paths. Throws NO_SUCH_REQUEST. */
  withdrawForget(ids: readonly number[]): Promise<void>;
  /** Changes a setting stored with the client; `value` undefined removes it. Throws CONFIG_INVALID. */
  changeSetting(key: string, value: string | undefined): Promise<void>;
  close(): void;
}
