import { basename, join } from 'node:path';
import type { Command } from '../measure.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

/** rsync to a directory on the same machine: a mirror without older versions, compression or deduplication. */
export function rsync(place: Place): Subject {
  const run = (...args: string[]): Command => ({
    argv: ['rsync', '-aH', '--delete', ...args],
    env: confinedTo(place.home),
  });
  const mirror = (): Command => run(`${place.tree}/`, `${place.store}/`);
  return {
    name: 'rsync',
    about: '-aH --delete: a mirror on the same machine',
    version: { argv: ['rsync', '--version'] },
    prepare: () => [],
    first: mirror,
    again: mirror,
    restore: () => run(`${place.store}/`, `${join(place.out, basename(place.tree))}/`),
    restoredTree: () => join(place.out, basename(place.tree)),
    storeBytes: () => bytesBelow(place.store),
  };
}
