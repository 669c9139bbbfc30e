// Pace: long
/** Sets are dropped. Only data that no other set needs is deleted; all other sets are listed and restored as before. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError } from '../../../src/errors/index.js';
import { rebuildCatalog } from '../../../src/maintenance/rebuild/index.js';
import { openClientDirectory } from '../../../src/store/index.js';
import { checkInline } from '../../helpers/damage.js';
import { seededRandom } from '../../support/seeded-random.js';
import {
  backupInline,
  inlineLab,
  inlineSystem,
  type Place,
  rebuildInline,
} from '../../helpers/inline.js';
import { PASSWORD, dumpedHistory } from '../../helpers/rewrites.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import {
  bySet,
  changeTree,
  deleteInline,
  frameTools,
  collectInline,
} from '../../helpers/garbage.js';
import { seed } from '../../helpers/seed.js';
import { sizeOf } from '../../helpers/tree.js';

async function manySets(t: ExecutionContext, sets: number, password?: string) {
  const home = scratchInMemory(t);
  const place: Place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  const random = seededRandom(seed);
  t.log(`seed ${seed}`);
  const backup = async (round: number): Promise<void> => {
    changeTree(source, round, random);
    const secret = password === undefined ? {} : { password };
    await backupInline(inlineSystem(), place, [source], { create: round === 1, ...secret });
  };
  for (let round = 1; round <= sets; round += 1) await backup(round);
  return { place, source, backup, client: path.join(place.store, 'me') };
}

/**
 * Drops sets and collects garbage; all other sets must stay as they were, even after a rebuild. Returns the deleted
 * bytes.
 */
async function purge(t: ExecutionContext, place: Place, sets: readonly number[]): Promise<number> {
  const before = bySet(await dumpedHistory(place));
  await deleteInline(place, sets);
  for (const set of sets) before.delete(set);
  const kept = [...before.values()].flat();
  t.deepEqual(await dumpedHistory(place), kept, 'dropped');
  const frames = await frameTools(place);
  const report = await collectInline(place, { frames });
  t.true(report.isDone);
  t.deepEqual(await dumpedHistory(place), kept, 'cleared up');
  t.is((await rebuildInline(place)).damagedRecords, 0);
  t.deepEqual(await dumpedHistory(place), kept, 'rebuilt');
  return report.deletedBytes;
}

test.serial('small packs of many sets are merged, and every set stays', async (t) => {
  const { place, source } = inlineLab(t, []);
  for (let round = 1; round <= 70; round += 1) {
    fs.writeFileSync(path.join(source, 'counted'), `${round}`);
    await backupInline(inlineSystem(), place, [source], { create: round === 1 });
  }
  const packs = path.join(place.store, 'me', 'packs');
  t.is(fs.readdirSync(packs).length, 70);
  await purge(t, place, [2]);
  t.true(fs.readdirSync(packs).length <= 4);
  t.deepEqual((await checkInline(place)).findings, []);
});

for (const [name, password] of [
  ['a client without a password', undefined],
  ['a client that encrypts', PASSWORD],
] as const) {
  test.serial(`sets are deleted and cleared up, and all others stay: ${name}`, async (t) => {
    const { place, client, backup } = await manySets(t, 10, password);
    const full = sizeOf(client);
    let deletedBytes = await purge(t, place, [3]);
    deletedBytes += await purge(t, place, [1, 2, 4, 5, 6, 7, 8]);
    t.true(deletedBytes > 0);
    t.true(sizeOf(client) < full, `${sizeOf(client)} of ${full} bytes`);
    await backup(11);
    await purge(t, place, [9]);
    await backup(12);
    await purge(t, place, [10, 11]);
    const frames = await frameTools(place);
    await collectInline(place, { frames });
    const again = await collectInline(place, { isThorough: true, frames });
    t.like(again, { isDone: true, contents: 0, packs: 0, deletedFiles: 0 });
  });
}

const MOST_STEPS = 8;

test.serial(
  'clearing up and a rebuild end where they are interrupted, and are done the next time',
  async (t) => {
    const { place } = await manySets(t, 6);
    await deleteInline(place, [1, 2, 3, 4]);
    const reported = await dumpedHistory(place);
    let interrupted = 0;
    for (let last = 1; last <= MOST_STEPS; last += 1) {
      const controller = new AbortController();
      let steps = 0;
      const onProgress = (): void => {
        steps += 1;
        if (steps === last) controller.abort();
      };
      try {
        await collectInline(place, { signal: controller.signal, onProgress });
      } catch (error) {
        t.is(asTardisError(error).code, 'INTERRUPTED');
        t.is(steps, last, 'nothing was begun after it');
        interrupted += 1;
      }
    }
    t.true(interrupted >= 3, `${interrupted} of ${MOST_STEPS}`);
    t.deepEqual(await dumpedHistory(place), reported);
    t.true((await collectInline(place)).isDone);
    t.deepEqual(await dumpedHistory(place), reported);

    const system = inlineSystem();
    const directory = openClientDirectory(system, place);
    for (const isLate of [false, true]) {
      const controller = new AbortController();
      if (!isLate) controller.abort();
      const onProgress = (): void => controller.abort();
      const options = { signal: controller.signal, onProgress };
      await t.throwsAsync(() => rebuildCatalog(system, directory, options), {
        code: 'INTERRUPTED',
      });
      t.false(fs.existsSync(`${directory.catalogPath}.new`));
      t.deepEqual(await dumpedHistory(place), reported, 'the old catalog stays');
    }
    await rebuildInline(place);
    t.deepEqual(await dumpedHistory(place), reported);
  },
);
