/**
 * The facts about a copy of the catalog in a bucket. The log contains them, so the copy can be checked against the log.
 */
import { isDigest, isId, isListOf, type Shape } from './shapes.js';

/** Number of bytes of the catalog in each piece of a copy except the last one. */
export const SNAPSHOT_PIECE_BYTES: number = 16 << 20;
/** Maximum number of pieces of a copy; a larger catalog has no copy. */
const MAX_PIECES = 4096;

export interface SnapshotFacts {
  /** The last commit in the copy. */
  readonly commit: number;
  /** Sixteen random digits in hexadecimal, which identify the copy. */
  readonly id: string;
  /** Size of the catalog's file. */
  readonly sizeBytes: number;
  /** Number of bytes of the catalog that are in use. */
  readonly usedBytes: number;
  /** SHA-256 of each object with a piece of the copy, in the order of the pieces. */
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
