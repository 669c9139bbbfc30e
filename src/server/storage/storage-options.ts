/** What a storage session is told about how to store, and where its answers go. */
import type { SpaceGrant, StoreLimits } from '../../keeper/index.js';
import type { FormatWords, RuleWords } from '../../retention/index.js';
import type { DeltaLimits } from './basis-offers.js';

export interface CheckpointLimits {
  readonly bytes: number;
  readonly entries: number;
  readonly intervalMs: number;
}

export interface StorageOptions {
  readonly store: StoreLimits;
  readonly deltas: DeltaLimits;
  readonly checkpoint: CheckpointLimits;
  /** Of a session whose account has a quota. */
  readonly space?: SpaceGrant | undefined;
  /** Copies of the catalog that are kept; none if not given. */
  readonly catalogCopies?: number;
  /** Sets that are younger cannot be deleted over the network. */
  readonly leastAgeMs?: number;
  /** What a client is to forget goes no sooner after it was asked for, over the network. */
  readonly forgetAfterMs?: number;
  /** How what nothing needs is freed when a client asks for it. */
  readonly freeing?: { readonly graceMs: number; readonly wasteRatio: number };
  /** Permissions that nothing in the store gets. */
  readonly umask?: number;
  /** Keep what clients are set to, if they tell; true if not given. */
  readonly saveConfig?: boolean;
  /** For sets that the client gives no name. */
  readonly names?: FormatWords;
  /** Which sets are kept when the server purges. */
  readonly rules?: RuleWords;
}

/** Where answers go; `processedBytes` of messages have been handled since the last call. */
export type AnswerSink = (answer: Buffer | undefined, processedBytes: number) => void;
