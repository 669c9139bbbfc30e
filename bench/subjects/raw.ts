import { basename, join } from 'node:path';
import type { Command } from '../measure.js';
import { bytesBelow, type Place, type Subject } from './subject.js';

/**
 * The best that the machine can do: all bytes through tar and zstd -1, a walk that reads the metadata of every entry,
 * and a copy.
 *
 * The walk is `find -size`, which has to stat every entry. It takes half the time of readdir and lstat in Node (0.2 and
 * 0.4 s for 80,000 files), so it is the limit here.
 */
export function raw(place: Place): Subject {
  // The options make find print nothing, even for matches.
  const walk: Command = { argv: ['find', place.tree, '-size', '-1', '-printf', ''] };
  return {
    name: 'raw',
    about: 'tar | zstd -1 -T2; find with a stat of each entry; cp -a',
    version: { argv: ['zstd', '--version'] },
    prepare: () => [],
    first: () => ({
      argv: [
        'bash',
        '-o',
        'pipefail',
        '-c',
        'tar cf - -C "$1" . | zstd -1 -T2 -q > "$2"',
        'bash',
        place.tree,
        place.store,
      ],
    }),
    // With 1 % changed files the walk still takes nearly all of the time.
    again: () => walk,
    restore: () => ({ argv: ['cp', '-a', place.tree, place.out] }),
    restoredTree: () => join(place.out, basename(place.tree)),
    storeBytes: () => bytesBelow(place.store),
  };
}
