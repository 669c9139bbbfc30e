// Pace: long
/**
 * Sets are dropped and garbage is collected, while each operation on files, addon and database in turn fails or is the
 * last one. At any moment the client shows all kept sets. The next run does the rest, without a manual step. TEST_SEED
 * replays a run; TEST_SHARE=1 tests every operation.
 */
import test, { type ExecutionContext } from 'ava';
import type { GcReport } from '../../../src/maintenance/gc/index.js';
import { faultySystem } from '../../support/faults.js';
import type { System } from '../../../src/system/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { type Trouble, TROUBLES, watchOnly } from '../../helpers/faults.js';
import {
  backupInline,
  inlineSystem,
  type Place,
  rebuildInline,
  SMALL_STORE,
} from '../../helpers/inline.js';
import { dumpedHistory } from '../../helpers/rewrites.js';
import { copyAt, freshPaths, pointsOf, strike } from '../../helpers/strike.js';
import { makeScratch, removeScratch } from '../../helpers/scratch.js';
import { bySet, changeTree, deleteInline, collectInline } from '../../helpers/garbage.js';
import { seed } from '../../helpers/seed.js';
import { share, sweepShare } from '../../helpers/share.js';

/** The operations hit by each kind of trouble: fewer of those that are frequent and change little. */
const STRIDES = {
  stride: share < 1 ? Math.round(2 / sweepShare) : 1,
  frequent: /^(sql\.(run|get|all|iterate)|files\.(status|read|isLink|list)|native\.sha256)$/,
  frequentStride: Math.max(1, Math.round(24 / sweepShare)),
  rareFirst: 0,
};
/** One in so many stores is also rebuilt, and cleared up again, after the fault. */
const REBUILT_EVERY = share < 1 ? 3 : 1;
const SETS = 6;
const TREE_SEED = 5;
const DELETED = [1, 2, 4];

/** Small packs, so that some lose most of their records. */
const STORAGE = { ...SMALL_STORE, store: { ...SMALL_STORE.store, packBytes: 32 << 10 } };

const home = makeScratch();
test.after.always(() => removeScratch(home));
const freshPath = freshPaths(home);

type Start = Awaited<ReturnType<typeof withSets>>;

async function withSets() {
  const place = { store: freshPath('sets'), client: 'me' };
  const source = freshPath('tree');
  // The same tree every time: with other histories no pack might need a repack.
  const changes = seededRandom(TREE_SEED);
  for (let round = 1; round <= SETS; round += 1) {
    changeTree(source, round, changes);
    await backupInline(inlineSystem(), place, [source], { create: round === 1, storage: STORAGE });
  }
  const all = await dumpedHistory(place);
  const sets = bySet(all);
  for (const set of DELETED) sets.delete(set);
  return { place, all, kept: [...sets.values()].flat() };
}

const starting = withSets();

async function purge(place: Place, system: System): Promise<GcReport> {
  await deleteInline(place, DELETED, system);
  const frames = { native: system.native, keys: undefined };
  return collectInline(place, { frames, wasteRatio: 0.1 }, system);
}

async function hit(
  t: ExecutionContext,
  start: Start,
  trouble: Trouble,
  { at, isRebuilt }: { readonly at: number; readonly isRebuilt: boolean },
): Promise<string | undefined> {
  const place = copyAt(start.place, freshPath('store'));
  const { hit: operation, what } = await strike(t, place.store, { trouble, at, seed }, (system) =>
    purge(place, system),
  );
  try {
    await check(t, place, start, what);
    if (isRebuilt) await checkRebuilt(t, place, start, what);
  } catch (error) {
    throw new Error(what, { cause: error });
  }
  removeScratch(place.store);
  return operation;
}

async function check(t: ExecutionContext, place: Place, start: Start, what: string): Promise<void> {
  const reported = await dumpedHistory(place);
  const isDropped = reported.length === start.kept.length;
  t.deepEqual(reported, isDropped ? start.kept : start.all, `${what}: as it was left`);
  // A write in flight may have reached the disk. Then opening the client has completed the drop.
  if (!isDropped) {
    await deleteInline(place, DELETED).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'NO_SUCH_SET') throw error;
    });
  }
  const { isDone } = await collectInline(place);
  t.true(isDone, what);
  t.deepEqual(await dumpedHistory(place), start.kept, `${what}: after the next run`);
}

async function checkRebuilt(
  t: ExecutionContext,
  place: Place,
  start: Start,
  what: string,
): Promise<void> {
  t.is((await rebuildInline(place)).damagedRecords, 0, what);
  t.deepEqual(await dumpedHistory(place), start.kept, `${what}: rebuilt`);
  const waste = await collectInline(place);
  t.true(waste.isDone);
  t.deepEqual(await dumpedHistory(place), start.kept, `${what}: cleared up after the rebuild`);
}

for (const trouble of TROUBLES) {
  test.serial(`clearing up: ${trouble.name}`, async (t) => {
    const start = await starting;
    t.true(start.kept.length < start.all.length);
    const plan = watchOnly();
    const watched = copyAt(start.place, freshPath('store'));
    const { packs, deletedFiles } = await purge(watched, faultySystem(inlineSystem(), plan));
    t.true(packs > 0 && deletedFiles > packs, `${packs} packs, ${deletedFiles} files`);
    removeScratch(watched.store);
    const points = pointsOf(plan.seen, trouble, STRIDES);
    const hits: (string | undefined)[] = [];
    for (const [index, at] of points.entries()) {
      const isRebuilt = (index + seed) % REBUILT_EVERY === 0;
      hits.push(await hit(t, start, trouble, { at, isRebuilt }));
    }
    const kinds = new Set(hits);
    t.log(`seed ${seed}: ${hits.length} of ${plan.seen.length} operations, ${kinds.size} kinds`);
  });
}
