/** Places of stored contents. Plain data that crosses threads. */

/** The place of a record in a store. */
export interface RecordPlace {
  readonly object: string;
  readonly position: number;
  readonly recordBytes: number;
}

/** A content, or a part of one, within its record. */
export interface StoredPiece extends RecordPlace {
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
  /** Offset within the decoded frame. */
  readonly offset: number;
  /** Pieces of the basis if the record is a delta; otherwise undefined. */
  readonly basis?: readonly StoredPiece[] | undefined;
}

/** Maximum depth of deltas on deltas that a reader follows; more than any server creates. */
export const MAX_CHAIN = 64;
