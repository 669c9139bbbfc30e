/** Where stored contents are. Plain data: it crosses threads. */

/** A record in a store. */
export interface RecordPlace {
  readonly object: string;
  readonly position: number;
  readonly recordBytes: number;
}

/** A content, or a part of one, within its record. */
export interface StoredPiece extends RecordPlace {
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
  /** Within the decoded frame. */
  readonly offset: number;
  /** Given: the record is a delta, on the content that these pieces are. */
  readonly basis?: readonly StoredPiece[] | undefined;
}

/** Deltas on deltas on …: more than any server makes; a reader goes no deeper. */
export const MAX_CHAIN = 64;
