/** The beginning of a set: what a client asks for, and what it is told. */
import type { HeldReason } from '../../transport/index.js';
import type { RootsRequest } from './set-roots.js';

/** What a client asks for when it opens a set. */
export interface SetRequest extends RootsRequest {
  /** Empty for a name made here. */
  readonly name: string;
  readonly nowMs: number;
  readonly clientTimeMs: number;
  /** Nothing may be stored as a delta, and what is one is wanted again. */
  readonly full: boolean;
}

export interface OpenedSet {
  readonly set: number;
  readonly name: string;
  /** Nothing was ever stored for this client: nothing needs to be asked. */
  readonly isEmpty: boolean;
  /** For each root whether it is held, and why. */
  readonly held: readonly HeldReason[];
}
