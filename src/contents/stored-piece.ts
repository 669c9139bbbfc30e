/** Places of stored contents. Plain data that crosses threads. */

import type { ExpectedRange } from '../store/index.js';

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
  /** Offset within the decoded record, in bytes. */
  readonly offset: number;
  /** Pieces of the basis if the record is a delta; otherwise undefined. */
  readonly basis?: readonly StoredPiece[] | undefined;
}

/** The place of a content in its decoded record. */
export type ContentPlace = Pick<StoredPiece, 'offset' | 'sizeBytes'>;

/** Maximum depth of deltas on deltas that a reader follows; more than any server creates. */
export const MAX_CHAIN = 64;

/** Returns the range of a record, to announce that it will be read. */
export function rangeOf({ object, position, recordBytes: bytes }: RecordPlace): ExpectedRange {
  return { object, position, bytes };
}

/** Returns a key that distinguishes the records of a store. */
export function recordKey({ object, position }: Pick<RecordPlace, 'object' | 'position'>): string {
  return `${object}@${position}`;
}

/** Pieces of a content, in their order; undefined if the store lacks the content. */
type ContentPieces = readonly RecordPlace[] | undefined;

/**
 * Returns a function that is true for a content that can be decoded without the others. Such a content has one piece,
 * and no other of `contents` has a piece in the same record.
 */
export function loneAmong(
  contents: readonly ContentPieces[],
): (pieces: NonNullable<ContentPieces>) => boolean {
  const counts = new Map<string, number>();
  for (const pieces of contents) {
    for (const piece of pieces ?? []) {
      const key = recordKey(piece);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return (pieces) => pieces.length === 1 && counts.get(recordKey(pieces[0]!)) === 1;
}
