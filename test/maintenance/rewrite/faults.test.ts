/**
 * A client is rewritten, while each operation on files, addon and database in turn fails or is the last one. At any
 * moment the client shows all its sets. The next run does the rest, and then no plaintext is left. TEST_SEED replays a
 * run; TEST_SHARE multiplies the number of operations that fail.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { faultySystem } from '../../support/faults.js';
import { seededRandom } from '../../support/seeded-random.js';
import { Codec } from '../../../src/store/index.js';
import { watchOnly, type Trouble, TROUBLES } from '../../helpers/faults.js';
import { backupInline, inlineSystem, rebuildInline } from '../../helpers/inline.js';
import { WORDS, wordsIn } from '../../helpers/plaintext.js';
import { freshKeys, rewriteInline, dumpedHistory } from '../../helpers/rewrites.js';
import { copyAt, freshPaths, strike } from '../../helpers/strike.js';
import { makeScratch, removeScratch } from '../../helpers/scratch.js';
import { addTo, dir, file, makeTree, noise, symlink, text } from '../../helpers/tree.js';
import { seed } from '../../helpers/seed.js';
import { sweepShare } from '../../helpers/share.js';

/** The number of operations that each kind of trouble hits. */
const points = Math.round(160 * Math.min(1, 1.5 * sweepShare));
const random = seededRandom(seed);
/** Frequent operations. Half of the points are spent on them, the other half on the rest. */
const MANY = /^(sql\.(run|get|all|iterate)|native\..*|files\.(status|read|write|isLink|list))$/;

const home = makeScratch();
process.env['XDG_STATE_HOME'] = path.join(home, 'state');
test.after.always(() => removeScratch(home));
const freshPath = freshPaths(home);

type Start = Awaited<ReturnType<typeof plainClient>>;

/** Makes a client that does not encrypt, with three sets. */
async function plainClient() {
  const place = { store: freshPath('plain'), client: 'me' };
  const source = freshPath('tree');
  makeTree(source, [
    dir(WORDS.directory, [file(WORDS.name, `${WORDS.content}${text(1, 500).toString()}`)]),
    file('large', noise(2, 1_200_000)),
    symlink('link', WORDS.target),
  ]);
  const run = (setName: string, create = false): ReturnType<typeof backupInline> =>
    backupInline(inlineSystem(), place, [source], {
      create,
      setName,
      settings: { compression: { codec: Codec.none, level: 0 } },
    });
  await run(WORDS.set, true);
  fs.appendFileSync(path.join(source, 'large'), 'more');
  addTo(source, dir('new', [file('file', noise(3, 150_000))]));
  await run('second');
  fs.renameSync(path.join(source, WORDS.directory), path.join(source, 'new', 'moved'));
  await run('third');
  return { place, reported: await dumpedHistory(place), keys: await freshKeys(undefined) };
}

const starting = plainClient();

/**
 * Returns the numbers of the operations to hit: half of the points among the rare ones, half among the frequent ones.
 */
function pointsOf(operations: readonly string[]): number[] {
  const all = operations.map((operation, index) => ({ operation, at: index + 1 }));
  const rare = all.filter(({ operation }) => !MANY.test(operation));
  const many = all.filter(({ operation }) => MANY.test(operation));
  const some = (of: typeof all, count: number): typeof all => {
    const step = Math.max(1, of.length / count);
    const from = random.next() * step;
    return Array.from(
      { length: Math.min(count, of.length) },
      (_, n) => of[Math.floor(from + n * step)]!,
    ).filter(Boolean);
  };
  return [...some(rare, points / 2), ...some(many, points / 2)].map(({ at }) => at);
}

async function hit(
  t: ExecutionContext,
  start: Start,
  trouble: Trouble,
  at: number,
): Promise<string | undefined> {
  const place = copyAt(start.place, freshPath('store'));
  const struck = await strike(t, place.store, { trouble, at, seed }, (system) =>
    rewriteInline(system, place, { keys: start.keys }),
  );
  const { hit: operation, what, error } = struck;
  t.deepEqual(await dumpedHistory(place), start.reported, `${what}: the client can be read`);
  const isLeft = fs.existsSync(path.join(place.store, '.me.next'));
  if (error !== undefined || isLeft || wordsIn(place.store).length > 0) {
    await rewriteInline(inlineSystem(), place);
  }
  t.deepEqual(await dumpedHistory(place), start.reported, `${what}: after the next run`);
  t.deepEqual(wordsIn(place.store), [], `${what}: plaintext is left`);
  t.deepEqual(
    fs.readdirSync(place.store).filter((name) => name.startsWith('.me')),
    [],
  );
  t.is((await rebuildInline(place)).damagedRecords, 0, what);
  t.deepEqual(await dumpedHistory(place), start.reported, `${what}: rebuilt`);
  removeScratch(place.store);
  return operation;
}

for (const trouble of TROUBLES) {
  test.serial(`encrypting a client: ${trouble.name}`, async (t) => {
    const start = await starting;
    t.deepEqual(wordsIn(start.place.store).length, 5, 'what is searched for is there');
    const plan = watchOnly();
    const watched = copyAt(start.place, freshPath('store'));
    await rewriteInline(faultySystem(inlineSystem(), plan), watched, { keys: start.keys });
    removeScratch(watched.store);
    const hits: (string | undefined)[] = [];
    for (const at of pointsOf(plan.seen)) hits.push(await hit(t, start, trouble, at));
    const kinds = new Set(hits);
    t.log(`seed ${seed}: ${hits.length} of ${plan.seen.length} operations, ${kinds.size} kinds`);
  });
}
