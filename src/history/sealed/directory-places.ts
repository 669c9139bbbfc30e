/**
 * Records the places of directories in sealed sets, as a walk from above finds them. The expected seal of a
 * listing depends on its place. A directory has two places if it was moved out of a directory that could not be
 * read at the time. Its old entry is kept, and its new entry is sealed.
 */
import type { DirectoryId, SetNumber } from '../../model/index.js';
import { TardisError } from '../../errors/index.js';

/** Maximum number of places of one directory in one set. */
const MAX_PLACES = 16;
const NONE: readonly Buffer[] = [];

export class DirectoryPlaces {
  /** Places by set and directory number. */
  private readonly places = new Map<string, readonly Buffer[]>();

  of(set: SetNumber, directory: DirectoryId): readonly Buffer[] {
    return this.places.get(keyOf(set, directory)) ?? NONE;
  }

  /** Adds a place of a directory. Throws NOT_AUTHENTIC if the directory has too many. */
  add(set: SetNumber, directory: DirectoryId, place: Buffer): void {
    const known = this.of(set, directory);
    if (known.some((one) => one.equals(place))) return;
    if (known.length >= MAX_PLACES) {
      throw new TardisError('NOT_AUTHENTIC', 'one directory is in too many places');
    }
    this.places.set(keyOf(set, directory), [...known, place]);
  }
}

function keyOf(set: SetNumber, directory: DirectoryId): string {
  return `${set}/${directory}`;
}
