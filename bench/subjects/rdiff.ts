import { join } from 'node:path';
import type { Command } from '../measure.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

/** Largest number of blocks of a file: rdiff is given blocks and sums of the lengths that tardis uses. */
const MOST_BLOCKS = 1 << 18;

/**
 * rdiff on a tree of one file: the store keeps the file, then the delta of the next version, compressed where that makes it
 * smaller. It is the limit of a delta: no history, no attributes, no checks.
 */
export function rdiff(place: Place): Subject {
  const run = (script: string): Command => ({
    argv: ['bash', '-euc', script, 'bash', place.tree, place.store, place.out],
    env: confinedTo(place.home),
  });
  return {
    name: 'rdiff',
    needsOneFile: true,
    about: 'signature and delta, zstd -1, of one file',
    version: { argv: ['rdiff', '--version'] },
    prepare: () => [{ argv: ['mkdir', place.store] }],
    first: () => run('cat "$1"/* >"$2/basis"'),
    again: () =>
      run(`bytes=$(stat -c %s "$2/basis"); block=2048
while [ $((block * ${MOST_BLOCKS})) -lt "$bytes" ]; do block=$((block * 2)); done
rdiff -f -b $block -S 16 signature "$2/basis" "$3/signature"
rdiff -f delta "$3/signature" "$1"/* "$2/delta"
rm "$3/signature"
zstd -q -1 "$2/delta" -o "$3/delta"
[ $(stat -c %s "$3/delta") -ge $(stat -c %s "$2/delta") ] || { cp "$3/delta" "$2/packed"; rm "$2/delta"; }
rm "$3/delta"`),
    restore: () =>
      run(`[ -e "$2/delta" ] || zstd -q -d "$2/packed" -o "$2/delta"
mkdir "$3/tree"; rdiff -f patch "$2/basis" "$2/delta" "$3/tree/$(ls "$1")"
for path in . "$(ls "$1")"; do chmod --reference "$1/$path" "$3/tree/$path"; touch -r "$1/$path" "$3/tree/$path"; done`),
    restoredTree: () => join(place.out, 'tree'),
    storeBytes: () => bytesBelow(place.store),
  };
}
