/** The facts about a copy of the catalog in a bucket, by which the log proves it. */
import { isDigest, isId, isListOf, type Shape } from './shapes.js';

/** Bytes of the catalog in each piece of a copy but the last one. */
export const SNAPSHOT_PIECE_BYTES: number = 16 << 20;
/** Pieces of a copy; a larger catalog has none. */
const MAX_PIECES = 4096;

export interface SnapshotFacts {
  /** The last commit in the copy. */
  readonly commit: number;
  /** Sixteen random digits, in hexadecimal. */
  readonly id: string;
  /** Size of the catalog's file. */
  readonly sizeBytes: number;
  /** Bytes of it that are in use. */
  readonly usedBytes: number;
  /** SHA-256 of the objects with its pieces, in their order. */
  readonly pieces: readonly Buffer[];
}

/** True if an untrusted event has the facts of a copy of the catalog. */
export function isSnapshotFacts(event: Shape): boolean {
  const { commit, id, sizeBytes, usedBytes, pieces } = event;
  return (
    isId(commit) &&
    typeof id === 'string' &&
    /^[0-9a-f]{16}$/.test(id) &&
    isId(sizeBytes) &&
    isId(usedBytes) &&
    isListOf(pieces, isDigest) &&
    pieces.length === snapshotPieces(sizeBytes)
  );
}

/** Returns the number of pieces of a catalog of a size; undefined for one that is too large for a copy. */
export function snapshotPieces(sizeBytes: number): number | undefined {
  const pieces = Math.ceil(sizeBytes / SNAPSHOT_PIECE_BYTES);
  return pieces <= MAX_PIECES ? pieces : undefined;
}
