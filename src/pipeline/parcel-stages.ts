/** Parcels between the stages of the pipeline. */
import type { HashOutput } from '../workers/index.js';
import type { OutgoingParcel } from './peer.js';

export interface HashedParcel {
  readonly output: HashOutput;
  /** Bytes taken from the budget. */
  readonly heldBytes: number;
  readonly slots: readonly number[];
}

export interface ReadyParcel {
  readonly outgoing: OutgoingParcel;
  readonly contents: number;
  /** Bytes taken from the budget. */
  readonly heldBytes: number;
  readonly slots: readonly number[];
}
