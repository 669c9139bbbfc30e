/**
 * Records the places of directories in sealed sets, as a walk from above finds them. The expected seal of a
 * listing depends on its place. A directory has two places if it was moved out of a directory that could not be
 * read at the time. Its old entry is kept, and its new entry is sealed.
 */
import { type DirectoryId, SEAL_BYTES, type SetNumber } from '../../model/index.js';
import { TardisError } from '../../errors/index.js';

/** Maximum number of places of one directory in one set. */
const MAX_PLACES = 16;
const NONE: readonly Buffer[] = [];

export class DirectoryPlaces {
  /**
   * Places by set and directory number, joined, each byte as one character. A small buffer is a part of a larger block,
   * and would keep all of the block in memory.
   */
  private readonly places = new Map<string, string>();

  of(set: SetNumber, directory: DirectoryId): readonly Buffer[] {
    const joined = this.places.get(keyOf(set, directory));
    if (joined === undefined) return NONE;
    const bytes = Buffer.from(joined, 'latin1');
    return Array.from({ length: bytes.length / SEAL_BYTES }, (_, index) =>
      bytes.subarray(index * SEAL_BYTES, (index + 1) * SEAL_BYTES),
    );
  }

  /** Adds a place of a directory. Throws NOT_AUTHENTIC if the directory has too many. */
  add(set: SetNumber, directory: DirectoryId, place: Buffer): void {
    const known = this.of(set, directory);
    if (known.some((one) => one.equals(place))) return;
    if (known.length >= MAX_PLACES) {
      throw new TardisError('NOT_AUTHENTIC', 'one directory is in too many places');
    }
    this.places.set(keyOf(set, directory), Buffer.concat([...known, place]).toString('latin1'));
  }
}

function keyOf(set: SetNumber, directory: DirectoryId): string {
  return `${set}/${directory}`;
}
