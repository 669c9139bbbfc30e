/**
 * The interface for changing a stored client: its sets, their marks, paths to forget, settings, and quota. It also starts long
 * work on the whole client: a check and garbage collection. All tools for these tasks use it, on a store on this
 * machine or through a server. It takes and returns texts and paths in plain form, not sealed.
 */
import type { BackupSet, Verdicts } from '../../history/index.js';
import type { Keyring } from '../../crypto/index.js';
import type { GcReport, PurgeRequest } from '../gc/index.js';
import type {
  CheckCounts,
  Finding,
  PackFinding,
  ParitySummary,
  ReadRequest,
  RepairOptions,
  RepairOutcome,
} from '../check/index.js';
import type {
  ClientSetting,
  ForgetReport,
  ForgetRequest,
  SetChange,
  SetNumber,
} from '../../model/index.js';
import type { RetentionRules, RuleWords } from '../../retention/index.js';
import type { QuotaChange } from '../../store/index.js';

/** Progress of long work; `of` is undefined if the total is unknown. */
interface WorkProgress {
  readonly step: string;
  readonly done: number;
  readonly of?: number;
}

export interface WorkHooks {
  /**
   * Interrupts the work when aborted. Through a server, closing the `Admin` then ends the work, and no other call may
   * follow.
   */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: WorkProgress) => void;
}

export interface CheckRequest {
  readonly read: ReadRequest;
  /** True if damaged contents are marked, and the marks of sound ones are cleared. */
  readonly mark: boolean;
  /**
   * True if each directory is compared with its seal even if no contents are read. A check at a server ignores this,
   * since a server has no keys.
   */
  readonly withListings?: boolean;
}

export interface CheckHooks extends WorkHooks {
  /** Called for each finding. Its paths are readable if the keys are known. */
  readonly onFinding: (finding: Finding) => void;
}

/** The result of a check. */
export interface CheckOutcome extends CheckCounts {
  /** False if encrypted data was only compared with checksums. */
  readonly isOpened: boolean;
  /** True if the list of records that this check has read could not be stored for the next check. */
  readonly isForgetful: boolean;
  /** The error that prevented marking the findings; undefined if there was none. */
  readonly notMarked: { readonly code: string; readonly message: string } | undefined;
  /** Number of findings that a server did not send, since there were too many. */
  readonly omitted: number;
  /** Number of sets that do not fit their seals; 0 without the keys. */
  readonly unprovenSets: number;
}

export interface FreeRequest {
  /** Minimum share of unneeded bytes for which a pack is rewritten. A server uses its own value. */
  readonly wasteRatio: number;
}

/**
 * Changes of a client, and long work on it. Every change may throw CLIENT_BUSY; through a server also NOT_PERMITTED
 * and CONNECTION_LOST.
 */
export interface Admin extends Disposable {
  /** Keys of the client; undefined if nothing is encrypted, or if the keys are not available here. */
  readonly keyring: Keyring | undefined;
  /**
   * Accepts a store in an older state than this machine has seen. `report` receives a description of the missing data.
   * Without this call, `sets` throws STORE_ROLLED_BACK.
   */
  acceptOlder(report: (what: string) => void): void;
  /** Returns the listed sets, oldest first. */
  sets(): Promise<BackupSet[]>;
  /**
   * Deletes sets. Throws NO_SUCH_SET for an unknown number, SET_IS_NEWEST for the newest set, SET_LOCKED for a locked
   * set, and SET_TOO_YOUNG for a set that may not yet be deleted.
   */
  deleteSets(sets: readonly SetNumber[]): Promise<void>;
  /** Throws the errors that `deleteSets` would throw for these sets, and deletes nothing. */
  previewDelete(sets: readonly SetNumber[]): Promise<void>;
  /**
   * Returns the sets that a purge would delete and those that it would keep. It applies the rules of the request or,
   * through a server, the rules of the server.
   */
  previewPurge(request: PurgeRequest): Promise<Verdicts>;
  /**
   * Deletes those of the sets `previewed` that the rules of the request still name: others may have been deleted since
   * the preview. Through a server, deletes the sets that the server's rules name now. Returns the verdicts.
   */
  purge(request: PurgeRequest, previewed: readonly SetNumber[]): Promise<Verdicts>;
  /**
   * Returns the retention rules of the client; `words` supply the priorities and all rules that are not stored with the
   * client. Returns undefined if there are no rules, or if a server applies them.
   */
  keptRules(words: RuleWords): RetentionRules | undefined;
  /**
   * Changes marks of all these sets, or of none. Throws NO_SUCH_SET for an unknown number, MARKS_INVALID for an
   * impossible mark.
   */
  mark(sets: readonly SetNumber[], change: SetChange): Promise<void>;
  /** Returns the pending requests to forget paths. */
  forgets(): Promise<readonly ForgetRequest[]>;
  /** Returns a report of the data that would be deleted if these paths were forgotten now. */
  previewForget(paths: readonly Buffer[]): Promise<ForgetReport>;
  /** Requests that paths be forgotten after `undoMs`, which a server may lengthen. Returns the requests. */
  requestForgets(paths: readonly Buffer[], undoMs: number): Promise<readonly ForgetRequest[]>;
  /** Withdraws requests to forget paths. Throws NO_SUCH_REQUEST for an unknown id. */
  withdrawForget(ids: readonly number[]): Promise<void>;
  /** Returns the settings stored with the client. */
  settings(): Promise<readonly ClientSetting[]>;
  /**
   * Changes a setting stored with the client; if `value` is undefined, removes it. Throws CONFIG_INVALID for an unknown
   * key or an invalid value.
   */
  changeSetting(key: string, value: string | undefined): Promise<void>;
  /**
   * Changes the quota of the account that owns the client; 0 for no quota. Throws ACCOUNT_FILE_MISSING if no account owns it,
   * USAGE in a bucket, CONFIG_INVALID for an impossible quota, and CAPABILITY_MISSING through a server.
   */
  changeQuota(quotaBytes: number): Promise<QuotaChange>;
  /**
   * Checks the store. If the keys are known, also compares sets with their seals. Throws INTERRUPTED and the errors of
   * a check; through a server also NOT_PERMITTED and CONNECTION_LOST.
   */
  check(request: CheckRequest, hooks: CheckHooks): Promise<CheckOutcome>;
  /**
   * Frees the space of deleted sets, if there are any. Returns undefined through a server, which frees the space by
   * itself. Throws INTERRUPTED if it is aborted, CATALOG_DAMAGED if the catalog is damaged.
   */
  freeDeleted(request: FreeRequest, hooks: WorkHooks): Promise<GcReport | undefined>;
  /**
   * Searches the whole client for unneeded data, and frees its space. Throws INTERRUPTED if it is aborted,
   * CATALOG_DAMAGED if the catalog is damaged.
   */
  freeUnneeded(request: FreeRequest, hooks: WorkHooks): Promise<GcReport>;
  /**
   * Marks contents as damaged, so that the next backup sends them again. Throws CAPABILITY_MISSING through a server,
   * which marks only contents that its own checks find damaged.
   */
  markDamaged(digests: readonly Buffer[]): Promise<void>;
  /**
   * Returns the misplaced packs, as a check finds them: of another client, or under another number. Returns undefined
   * through a server, whose check reports them without the names of other clients.
   */
  strangePacks(): Promise<readonly PackFinding[] | undefined>;
  /** Returns a summary of the parity; undefined through a server, and in a bucket. */
  parity(): Promise<ParitySummary | undefined>;
  /**
   * Restores damaged files of the store from their parity. In a directory, makes parity that is missing; in a bucket,
   * makes damaged notes of generations again. Needs no keys, and in a bucket no catalog. Throws INTERRUPTED if it is
   * aborted, and CAPABILITY_MISSING through a server.
   */
  repair(options: RepairOptions): Promise<RepairOutcome>;
  /** Ends the session at a server. `using` does so at the end of a block. */
  close(): void;
}
