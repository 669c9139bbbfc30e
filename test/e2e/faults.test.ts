// Pace: long
/**
 * Makes every operation on files, addon and database fail, or be the last one, in turn: during a first backup,
 * during a second one with changes, and during a restore. After each fault, finished sets restore exactly, the
 * next run completes without manual work, and a rebuild from the packs alone gives the same history.
 *
 * TEST_SEED replays a run; TEST_SHARE=1 hits every operation.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { faultySystem } from '../support/faults.js';
import { seededRandom } from '../support/seeded-random.js';
import { copyStore, watchOnly, type Trouble, TROUBLES } from '../helpers/faults.js';
import {
  backupInline,
  dumpHistory,
  inlineSystem,
  type Place,
  rebuildInline,
  restoreInline,
  withHistory,
} from '../helpers/inline.js';
import { freshPaths, pointsOf, strike } from '../helpers/strike.js';
import { here } from '../helpers/kinds.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import {
  addTo,
  differences,
  dir,
  file,
  hardlink,
  look,
  makeTree,
  node,
  noise,
  type Snapshot,
  sparse,
  symlink,
  text,
} from '../helpers/tree.js';
import { seed } from '../helpers/seed.js';
import { share, sweepShare } from '../helpers/share.js';

const random = seededRandom(seed);
/** The operations hit by each kind of trouble: fewer of those that are frequent and change nothing. */
const STRIDES = {
  stride: share < 1 ? Math.round(2 / sweepShare) : 1,
  frequent: /^(sql\.(run|get|all|iterate)|files\.(status|read)|native\.sha256)$/,
  frequentStride: share < 1 ? Math.round(24 / sweepShare) : Math.max(1, Math.round(8 / share)),
  rareFirst: 2,
};
/** One in so many stores is also rebuilt from its packs: each rebuilt set is restored again. */
const REBUILT_EVERY = share < 1 ? 4 : 1;

const home = makeScratch();
test.after.always(() => removeScratch(home));
const freshPath = freshPaths(home);

/** Returns a content that is larger than a parcel but quick to send: only its first bytes do not compress. */
function large(name: string, noiseBytes: number): Buffer {
  return Buffer.concat([
    noise(`${seed} ${name}`, noiseBytes),
    Buffer.alloc(1_100_000 - noiseBytes),
  ]);
}

/** A small tree that changes back and forth in place, in every way that matters. */
class ChangingTree {
  readonly source = path.join(home, 'tree');
  private isChanged = false;
  private changes = 0;

  constructor() {
    const size = (most: number): number => Math.floor(random.next() * most) + 1;
    makeTree(this.source, [
      dir('docs', [
        file('a', text(`${seed} a`, size(9000))),
        file('b', text(`${seed} b`, size(90_000))),
        file('same as a', text(`${seed} a`, 5000)),
        dir('deep', [dir('er', [file('c', noise(`${seed} c`, size(40_000)))])]),
      ]),
      dir('data', [
        file('large', large('large', 180_000)),
        file('medium', text(`${seed} medium`, 60_000)),
        file('empty'),
      ]),
      dir('moves', [file('along', text(`${seed} along`, size(3000)))]),
      symlink('link', 'docs/a'),
      node('fifo', 'fifo'),
      sparse('sparse', 150_000, [[70_000, text(`${seed} sparse`, size(4000))]]),
      ...(here.attributes ? [file('attributed', 'x', { attributes: { 'user.a': 'a' } })] : []),
      hardlink('second name', 'docs', 'a'),
      file('top', 'top'),
      file('becomes directory', 'file'),
    ]);
  }

  change(): void {
    const at = (...names: string[]): string => path.join(this.source, ...names);
    this.isChanged = !this.isChanged;
    this.changes += 1;
    const [from, to] = this.isChanged ? ['moves', 'moved'] : ['moved', 'moves'];
    fs.renameSync(at(from), at(to));
    fs.rmSync(at('becomes directory'), { recursive: true });
    fs.appendFileSync(at('top'), 'more');
    fs.appendFileSync(at('data', 'medium'), text(`${seed} ${this.changes}`, 100));
    if (this.isChanged) {
      fs.rmSync(at('docs', 'b'));
      addTo(this.source, dir('becomes directory', [file('inside', `inside ${this.changes}`)]));
      addTo(at('docs', 'deep'), file('new', text(`${seed} new ${this.changes}`, 2000)));
      addTo(this.source, dir('new', [file('large', large(`${this.changes}`, 70_000))]));
      return;
    }
    addTo(this.source, file('becomes directory', 'file again'));
    addTo(at('docs'), file('b', text(`${seed} b ${this.changes}`, 30_000)));
    fs.rmSync(at('docs', 'deep', 'new'));
    fs.rmSync(at('new'), { recursive: true });
  }

  get state(): 'first' | 'second' {
    return this.isChanged ? 'second' : 'first';
  }
}

const tree = new ChangingTree();

/** A place, and the expected files of its finished sets by name of the set. */
type Known = Awaited<ReturnType<typeof finishedBackup>>;

async function restored(place: Place, set: string, into = freshPath('out')): Promise<Snapshot> {
  const request = { paths: [tree.source], output: into, set };
  const failures = await restoreInline(inlineSystem(), place, request);
  if (failures.length > 0) throw new Error(JSON.stringify(failures.map(String)));
  const seen = look(path.join(into, 'tree'));
  removeScratch(into);
  return seen;
}

/** Checks that every finished set restores exactly. Returns their names. */
async function checkSets(t: ExecutionContext, known: Known, what: string): Promise<string[]> {
  const sets = await withHistory(known.place, (history) => history.sets());
  const finished = sets.filter(({ state }) => state === 'complete');
  for (const { set, name } of finished) {
    const wanted = known.wanted.get(name);
    if (wanted === undefined) continue;
    const found = await restored(known.place, String(set));
    t.deepEqual(differences(wanted, found), [], `${what}: set ${set} (${name})`);
  }
  return finished.map(({ name }) => name);
}

/** Checks that a failure has an error code, which a killed process need not report. */
function checkError(t: ExecutionContext, error: unknown, trouble: Trouble): void {
  const { code } = error as { code?: string };
  t.not(code, 'TIMED_OUT', 'one side did not notice the trouble of the other');
  if (trouble.dies !== true) t.truthy(code, `an error without a code: ${String(error)}`);
}

/** Runs the next backup as a user would start it, without any clean-up before. */
async function nextRun(place: Place, setName: string): Promise<void> {
  const system = inlineSystem();
  try {
    await backupInline(system, place, [tree.source], { create: true, setName });
  } catch (error) {
    if ((error as { code?: string }).code !== 'CLIENT_EXISTS') throw error;
    const sets = await withHistory(place, (history) => history.sets());
    if (sets.every(({ state }) => state !== 'complete')) throw error; // --create may continue it
    await backupInline(system, place, [tree.source], { setName });
  }
}

let strikes = seed;

/** Runs one backup with a fault at the n-th operation, and checks everything that must hold after it. */
async function troubledBackup(
  t: ExecutionContext,
  start: Known | undefined,
  trouble: Trouble,
  at: number,
): Promise<string | undefined> {
  const place: Place = { store: freshPath('store'), client: 'me' };
  if (start !== undefined) copyStore(start.place.store, place.store);
  const before = look(tree.source);
  const struck = await strike(t, place.store, { trouble, at, seed }, (system) =>
    backupInline(system, place, [tree.source], {
      create: start === undefined,
      setName: 'troubled',
    }),
  );
  const { hit, what, result, error } = struck;
  if (error !== undefined) checkError(t, error, trouble);
  if (hit === undefined) return undefined;
  const isFinished = result !== undefined;
  const isExact =
    result !== undefined &&
    result.progress.unreadable +
      result.progress.vanished +
      result.progress.changed +
      result.progress.incomplete ===
      0;

  const wanted = new Map(start?.wanted);
  if (isExact || !isFinished) wanted.set('troubled', before);
  if (start !== undefined || isFinished) {
    const names = await checkSets(t, { place, wanted }, what);
    t.true(start === undefined || names.includes('before'), `${what}: a finished set is gone`);
    t.true(!isFinished || names.includes('troubled'), `${what}: a set said to be finished is not`);
  }
  tree.change();
  wanted.set('after', look(tree.source));
  await nextRun(place, 'after');
  const names = await checkSets(t, { place, wanted }, `${what}, after the next run`);
  t.true(names.includes('after'), what);
  const reported = await dumpHistory(place);
  t.false(
    reported.some((line) => line.includes('"unfinished"')),
    `${what}: unfinished sets stay`,
  );
  strikes += 1;
  if (strikes % REBUILT_EVERY === 0) {
    const { damagedRecords } = await rebuildInline(place);
    t.is(damagedRecords, 0, what);
    t.deepEqual(await dumpHistory(place), reported, `${what}: rebuilt from the packs`);
    await checkSets(t, { place, wanted }, `${what}, rebuilt`);
  }
  removeScratch(place.store);
  return hit;
}

/** Backs up the tree in its present state into a new store. */
async function finishedBackup() {
  const place = { store: freshPath('finished'), client: 'me' };
  const options = { create: true, setName: 'before' };
  await backupInline(inlineSystem(), place, [tree.source], options);
  return { place, wanted: new Map([['before', look(tree.source)]]) };
}

/** Returns the operations of one backup without a fault. */
async function watched(start: Known | undefined): Promise<readonly string[]> {
  const place = { store: freshPath('watched'), client: 'me' };
  if (start !== undefined) copyStore(start.place.store, place.store);
  const plan = watchOnly();
  const system = faultySystem(inlineSystem(), plan);
  await backupInline(system, place, [tree.source], { create: start === undefined });
  return plan.seen;
}

function report(t: ExecutionContext, hits: readonly (string | undefined)[], total: number): void {
  const kinds = new Set(hits.filter((hit) => hit !== undefined));
  t.log(`seed ${seed}: ${hits.length} of ${total} operations hit, ${kinds.size} kinds`);
}

for (const trouble of TROUBLES) {
  test.serial(`a first backup: ${trouble.name}`, async (t) => {
    const operations = await watched(undefined);
    const hits: (string | undefined)[] = [];
    for (const at of pointsOf(operations, trouble, STRIDES)) {
      hits.push(await troubledBackup(t, undefined, trouble, at));
    }
    report(t, hits, operations.length);
  });

  test.serial(`a second backup with changes: ${trouble.name}`, async (t) => {
    // The tree alternates between two states; each run starts from the finished set of the other state.
    const starts = new Map([[tree.state, await finishedBackup()]]);
    tree.change();
    starts.set(tree.state, await finishedBackup());
    const other = (): Known => starts.get(tree.state === 'first' ? 'second' : 'first')!;
    const operations = await watched(other());
    const hits: (string | undefined)[] = [];
    for (const at of pointsOf(operations, trouble, STRIDES)) {
      hits.push(await troubledBackup(t, other(), trouble, at));
    }
    report(t, hits, operations.length);
  });
}

/** Runs one restore with a fault: every file that it does not report as failed is correct. */
async function troubledRestore(
  t: ExecutionContext,
  known: Known,
  trouble: Trouble,
  at: number,
): Promise<string | undefined> {
  const wanted = known.wanted.get('before')!;
  const output = freshPath('troubled');
  const request = { paths: [tree.source], output };
  const struck = await strike(t, output, { trouble, at, seed }, (system) =>
    restoreInline(system, known.place, request),
  );
  const { hit, what, result, error } = struck;
  if (error !== undefined) checkError(t, error, trouble);
  if (hit === undefined) return undefined;
  const failed = result && new Set(result.map((failure) => failure.path.toString('latin1')));
  const top = path.join(output, 'tree');
  const found = fs.existsSync(top) ? look(top) : new Map<string, string>();
  if (failed?.size === 0) t.deepEqual(differences(wanted, found), [], `${what}: not told`);
  const contentOf = (words = ''): string => /\d+ bytes .*/.exec(words)?.[0] ?? '';
  for (const [name, words] of trouble.dies !== true ? found : []) {
    const isReported = failed?.has(name === '' ? 'tree' : `tree/${name}`) === true;
    const isRight = contentOf(words).split(' ')[2] === contentOf(wanted.get(name)).split(' ')[2];
    t.true(isReported || isRight, `${what}: ${name} is wrong`);
  }
  removeScratch(output);
  return hit;
}

for (const trouble of TROUBLES) {
  test.serial(`a restore: ${trouble.name}`, async (t) => {
    const known = await finishedBackup();
    const plan = watchOnly();
    const request = { paths: [tree.source], output: freshPath('out') };
    await restoreInline(faultySystem(inlineSystem(), plan), known.place, request);
    const hits: (string | undefined)[] = [];
    for (const at of pointsOf(plan.seen, trouble, STRIDES)) {
      hits.push(await troubledRestore(t, known, trouble, at));
      t.deepEqual(await checkSets(t, known, 'a fresh restore'), ['before']);
    }
    report(t, hits, plan.seen.length);
  });
}
