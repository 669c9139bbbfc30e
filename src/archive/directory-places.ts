/**
 * Where directories of sealed sets are, as far as they were met: only from above is it known, and what a
 * listing must be goes by it. One that was moved out of a directory which could not be read then is in two
 * places: the old one is held, the new one is sealed.
 */
import { TardisError } from '../errors/index.js';

/** Of one directory in one set. */
const MAX_PLACES = 16;
const NONE: readonly Buffer[] = [];

export class DirectoryPlaces {
  /** By set and number. */
  private readonly places = new Map<string, readonly Buffer[]>();

  of(set: number, directory: number): readonly Buffer[] {
    return this.places.get(keyOf(set, directory)) ?? NONE;
  }

  /** Throws NOT_AUTHENTIC when there are too many. */
  add(set: number, directory: number, place: Buffer): void {
    const known = this.of(set, directory);
    if (known.some((one) => one.equals(place))) return;
    if (known.length >= MAX_PLACES) {
      throw new TardisError('NOT_AUTHENTIC', 'one directory is in too many places');
    }
    this.places.set(keyOf(set, directory), [...known, place]);
  }
}

function keyOf(set: number, directory: number): string {
  return `${set}/${directory}`;
}
