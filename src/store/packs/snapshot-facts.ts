/**
 * The facts about a copy of the catalog in a bucket. The log contains them, so the copy can be checked against the log.
 */
import { type Checked, isDigest, isId, isText, listOf, mapOf, where } from '../../model/index.js';

/** Number of bytes of the catalog in each piece of a copy except the last one. */
export const SNAPSHOT_PIECE_BYTES: number = 16 << 20;
/** Maximum number of pieces of a copy; a larger catalog has no copy. */
const MAX_PIECES = 4096;

/** True if an untrusted event has the facts of a copy of the catalog. */
export const isSnapshotFacts = where(
  mapOf({
    /** The last commit in the copy. */
    commit: isId,
    /** Sixteen random digits in hexadecimal, which identify the copy. */
    id: where(isText, (id) => /^[0-9a-f]{16}$/.test(id)),
    /** Size of the catalog's file. */
    sizeBytes: isId,
    /** Number of bytes of the catalog that are in use. */
    usedBytes: isId,
    /** SHA-256 of each object with a piece of the copy, in the order of the pieces. */
    pieces: listOf(isDigest),
  }),
  ({ pieces, sizeBytes }) => pieces.length === snapshotPieces(sizeBytes),
);
export type SnapshotFacts = Checked<typeof isSnapshotFacts>;

/** Returns the number of pieces of a catalog of a size; undefined for one that is too large for a copy. */
export function snapshotPieces(sizeBytes: number): number | undefined {
  const pieces = Math.ceil(sizeBytes / SNAPSHOT_PIECE_BYTES);
  return pieces <= MAX_PIECES ? pieces : undefined;
}
