/** If space runs low, expendable sets are deleted one after the other, and no more than needed. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { markSets } from '../../../src/store/writer/index.js';
import { deleteForSpace } from '../../../src/maintenance/gc/index.js';
import { openClientDirectory } from '../../../src/store/index.js';
import type { System } from '../../../src/system/index.js';
import { inlineLab, inlineSystem, SMALL_STORE, withHistory } from '../../helpers/inline.js';
import { noise, sizeOf } from '../../helpers/tree.js';

const KIB = 1 << 10;

test('sets go until there is room, the oldest first, and what they held is free at once', async (t) => {
  const { place, source, backup } = inlineLab(t, []);
  for (let set = 1; set <= 6; set += 1) {
    fs.writeFileSync(path.join(source, 'changes'), noise(set, 300 * KIB));
    await backup();
  }
  const plain = inlineSystem();
  const directory = openClientDirectory(plain, place);
  await markSets(plain, directory, SMALL_STORE.store, {
    sets: [1, 3, 4, 5, 6],
    change: { isExpendable: true },
  });
  const packs = path.join(directory.path, 'packs');
  const fullBytes = sizeOf(packs);
  // A disk with the size of the present packs and 100 KiB more.
  const system: System = {
    ...plain,
    files: Object.create(plain.files, {
      freeBytes: { value: () => fullBytes + 100 * KIB - sizeOf(packs) },
    }) as System['files'],
  };
  const listed = (): Promise<number[]> =>
    withHistory(place, async (history) => (await history.sets()).map(({ set }) => set));
  const purge = (belowBytes: number, leastAgeMs = 0): Promise<number[]> =>
    deleteForSpace(
      system,
      directory,
      { belowBytes, leastAgeMs },
      {
        limits: SMALL_STORE.store,
        graceMs: 3_600_000,
        wasteRatio: 0.25,
        frames: { native: system.native, keys: undefined },
        isThorough: false,
      },
    );
  t.deepEqual(await purge(100 * KIB), [], 'there is room');
  t.deepEqual(await purge(600 * KIB, 3_600_000), [], 'they are younger than that');
  t.deepEqual(await purge(600 * KIB), [1, 3]);
  t.deepEqual(await listed(), [2, 4, 5, 6]);
  t.true(system.files.freeBytes(packs) >= 600 * KIB);
  t.deepEqual(await purge(1e12), [4, 5], 'all that may go');
  t.deepEqual(await listed(), [2, 6]);
});
