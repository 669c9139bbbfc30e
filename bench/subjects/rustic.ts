import type { Command } from '../measure.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

/** rustic with its default settings; it always encrypts. Creating the repository is not measured. */
export function rustic(place: Place): Subject {
  const run = (...args: string[]): Command => ({
    argv: ['rustic', ...args],
    env: {
      ...confinedTo(place.home),
      RUSTIC_REPOSITORY: place.store,
      RUSTIC_PASSWORD: 'benchmark',
    },
  });
  return {
    name: 'rustic',
    about: 'default settings, encrypted',
    version: { argv: ['rustic', '--version'] },
    prepare: () => [run('init')],
    first: () => run('backup', place.tree),
    again: () => run('backup', place.tree),
    restore: () => run('restore', `latest:${place.tree}`, place.out),
    restoredTree: () => place.out,
    storeBytes: () => bytesBelow(place.store),
  };
}
