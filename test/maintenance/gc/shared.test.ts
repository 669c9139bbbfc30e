// Pace: long
/**
 * Garbage collection of a client in a bucket: what no set needs is deleted, also if others write and requests fail at
 * any point. Nothing acknowledged is lost, and every machine finds the same contents.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../../src/errors/index.js';
import { collectGarbage, type GcReport } from '../../../src/maintenance/gc/index.js';
import { applyEvent, Catalog } from '../../../src/store/catalog/index.js';
import { buildEvent, type ClientDirectory, isOfLog, useBucket } from '../../../src/store/index.js';
import { catchUp, deleteSets, StoreWriter } from '../../../src/store/writer/index.js';
import {
  backUpFrom,
  restoreFrom,
  type StartMachine,
  startsIn,
  WHOLE_SETS,
} from '../../helpers/bucket-machines.js';
import { codeOf } from '../../helpers/codes.js';
import { inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { memoryFolder, removeScratch } from '../../helpers/scratch.js';
import { seed } from '../../helpers/seed.js';
import { share } from '../../helpers/share.js';
import { freshPaths } from '../../helpers/strike.js';
import { differences, look, noise } from '../../helpers/tree.js';
import type { BeforeRequest, Objects } from '../../support/memory-object-store.js';
import { seededRandom } from '../../support/seeded-random.js';

const LIMITS = SMALL_STORE.store;
const SETS = 3;

const home = fs.mkdtempSync(path.join(memoryFolder(), 'tardis-shared-'));
test.after.always(() => removeScratch(home));
const freshPath = freshPaths(home);

/** Writes small files, which share frames, and larger ones; those of earlier rounds are partly replaced. */
function grow(source: string, round: number): void {
  fs.mkdirSync(source, { recursive: true });
  for (let at = 0; at < 60; at += 1) {
    if (round > 1 && at % 3 === 0) continue;
    fs.writeFileSync(path.join(source, `small-${at}`), noise(`${round}-${at}`, 9000));
  }
  for (let at = 0; at < 12; at += 1) {
    if (round > 1 && at % 4 === 0) continue;
    fs.writeFileSync(path.join(source, `middle-${at}`), noise(`${round}-m${at}`, 90_000));
  }
  fs.writeFileSync(path.join(source, 'large'), noise(`${round}-large`, 400_000));
}

interface Start {
  readonly objects: Objects;
  readonly on: (
    objects: Objects,
    before?: BeforeRequest,
    like?: ClientDirectory,
  ) => ClientDirectory;
  /** A machine that knows all sets. */
  readonly writer: ClientDirectory;
  readonly source: string;
  /** The source as it was in the first set. */
  readonly old: string;
}

async function begin(): Promise<Start> {
  const objects: Objects = new Map();
  let present = objects;
  const start: StartMachine = await startsIn(home, () => present);
  const on: Start['on'] = (given, before, like) => {
    present = given;
    return start(before, like);
  };
  const writer = on(objects);
  const [source, old] = [freshPath('tree'), freshPath('old')];
  for (let round = 1; round <= SETS; round += 1) {
    grow(source, round);
    if (round === 1) fs.cpSync(source, old, { recursive: true });
    await backUpFrom(writer, source, { storage: WHOLE_SETS });
  }
  return { objects, on, writer, source, old };
}

const starting = begin();

function collect(directory: ClientDirectory, isThorough = false): Promise<GcReport> {
  const system = inlineSystem();
  return collectGarbage(system, directory, {
    limits: LIMITS,
    graceMs: 0,
    wasteRatio: 0.2,
    frames: { native: system.native, keys: undefined },
    isThorough,
  });
}

async function purge(directory: ClientDirectory): Promise<GcReport> {
  await deleteSets(inlineSystem(), directory, { limits: LIMITS, sets: [1, 2], leastAgeMs: 0 });
  return collect(directory);
}

function packsIn(objects: Objects): string[] {
  return [...objects.keys()].filter((name) => name.includes('/packs/')).sort();
}

function bytesIn(objects: Objects): number {
  return packsIn(objects).reduce((sum, name) => sum + objects.get(name)!.bytes.length, 0);
}

/** Returns the place of each content that a machine knows to be stored. */
async function storedOn(directory: ClientDirectory): Promise<string[]> {
  await catchUp(inlineSystem(), directory);
  return Catalog.reading(inlineSystem(), directory.catalogPath, ({ history, contents }) =>
    [...history.contents()]
      .flat()
      .filter(({ digest }) => contents.find(digest)?.isStored === true)
      .map(({ digest, pack, position }) => `${digest.toString('hex')} ${pack} ${position}`)
      .sort(),
  );
}

/** Checks that a machine without a cache restores the newest set of a tree. */
async function restores(
  t: ExecutionContext,
  { on }: Start,
  objects: Objects,
  { source, what }: { readonly source: string; readonly what: string },
): Promise<void> {
  const fresh = on(objects);
  await catchUp(inlineSystem(), fresh);
  const lost = Catalog.reading(
    inlineSystem(),
    fresh.catalogPath,
    ({ history }) => history.unreadableVersions,
  );
  t.is(lost, 0, what);
  const output = freshPath('out');
  t.deepEqual(await restoreFrom(fresh, { source, output }), [], what);
  t.deepEqual(differences(look(source), look(path.join(output, path.basename(source)))), [], what);
  removeScratch(output);
}

/** Clears up from a machine without a cache; then the bucket has only packs that are needed. */
async function settles(t: ExecutionContext, { on }: Start, objects: Objects, what: string) {
  const fresh = on(objects);
  await catchUp(inlineSystem(), fresh);
  const { isDone } = await collect(fresh, true);
  t.true(isDone, what);
  const again = await collect(fresh, true);
  t.deepEqual(
    [again.packs, again.deletedFiles],
    [0, 0],
    `${what}: there is nothing more to delete`,
  );
  const stored = new Set((await storedOn(fresh)).map((line) => Number(line.split(' ')[1])));
  const there = packsIn(objects).map((name) => {
    const [claim, index] = path.basename(name).split('-').map(Number);
    return claim! * 1_000_000 + index!;
  });
  for (const pack of there) t.true(stored.has(pack), `${what}: pack ${pack} is of no use`);
  const waiting = Catalog.reading(inlineSystem(), fresh.catalogPath, ({ gc }) => gc.removedPacks());
  t.deepEqual(waiting, [], what);
}

test('data that only deleted sets used is deleted, and machines with an older catalog follow', async (t) => {
  const start = await starting;
  const { on, writer, source } = start;
  const objects: Objects = new Map(start.objects);
  const [stale, first] = [on(objects, undefined, writer), on(objects, undefined, writer)];
  const before = bytesIn(objects);
  const report = await purge(first);
  t.true(report.isDone && report.packs > 2 && report.deletedFiles > 2, JSON.stringify(report));
  t.true(report.contents > 50, JSON.stringify(report));
  t.true(bytesIn(objects) < before * 0.7, `${bytesIn(objects)} of ${before} bytes are left`);
  const output = freshPath('out');
  const failures = await restoreFrom(stale, { source, output, set: '3' });
  t.true(failures.length > 0, 'a machine that does not follow is told what is missing');
  const follow = (): Promise<void> => catchUp(inlineSystem(), stale);
  useBucket(stale.bucket!, follow);
  const again = freshPath('out');
  t.deepEqual(await restoreFrom(stale, { source, output: again, set: '3' }), []);
  t.deepEqual(differences(look(source), look(path.join(again, path.basename(source)))), []);
  await restores(t, start, objects, { source, what: 'fresh' });
  await settles(t, start, objects, 'at the end');
  t.deepEqual(await storedOn(stale), await storedOn(on(objects)));
});

test('a machine with an older catalog sends again what was deleted meanwhile', async (t) => {
  const start = await starting;
  const { on, writer, old } = start;
  const objects: Objects = new Map(start.objects);
  const [stale, first] = [on(objects, undefined, writer), on(objects, undefined, writer)];
  await purge(first);
  await backUpFrom(stale, old, { storage: WHOLE_SETS });
  await restores(t, start, objects, { source: old, what: 'the old tree' });
  t.deepEqual(await storedOn(first), await storedOn(on(objects)));
});

test('packs of a session that never committed are deleted, and those of a later one are not', async (t) => {
  const start = await starting;
  const { on, writer, source } = start;
  const objects: Objects = new Map(start.objects);
  const broken = on(
    objects,
    (kind, name) => {
      const isSecond = kind === 'put' && name.includes('/log/') && broken.bucket !== undefined;
      if (isSecond && packsIn(objects).length > packsIn(start.objects).length)
        throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
    },
    writer,
  );
  const tree = freshPath('tree');
  grow(tree, 7);
  await t.throwsAsync(backUpFrom(broken, tree, { storage: WHOLE_SETS }));
  t.true(packsIn(objects).length > packsIn(start.objects).length);
  const other = on(objects, undefined, writer);
  const { deletedFiles } = await collect(other, true);
  t.true(deletedFiles >= packsIn(objects).length - packsIn(start.objects).length);
  await settles(t, start, objects, 'after the orphans');
  await restores(t, start, objects, { source, what: 'the newest set' });
});

test('the log is never deleted, whatever a commit lists', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  const store = await StoreWriter.open(inlineSystem(), start.on(objects), LIMITS);
  for (const name of ['packs/1000000', 'packs/2500000', 'format.json']) {
    t.true(
      ['RECORD_DAMAGED', 'INTERNAL'].includes(
        codeOf(await store.backend.remove(name).catch((e: unknown) => e)),
      ),
    );
  }
  store.close();
  t.is(objects.size, start.objects.size + 1);
});

test('packs that sets need are not deleted, whatever a commit lists', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  const hostile = start.on(objects, undefined, start.writer);
  const packs = [...new Set((await storedOn(hostile)).map((line) => Number(line.split(' ')[1])))];
  const store = await StoreWriter.open(inlineSystem(), hostile, LIMITS);
  const needed = packs.filter((pack) => !isOfLog(pack));
  const event = { type: 'removed', packs: needed, objects: [], atMs: 0 } as const;
  applyEvent(store.catalog, event);
  store.appendOwn(buildEvent(store.nextSequence(), event));
  await store.checkpoint();
  store.close();
  const other = start.on(objects);
  await catchUp(inlineSystem(), other);
  const before = packsIn(objects).length;
  const { deletedFiles } = await collect(other, true);
  t.true(deletedFiles < before / 2, `${deletedFiles} of ${before} packs`);
  const lost = packsIn(start.objects).filter((name) => !objects.has(name));
  const first = start.on(new Map(start.objects));
  const newest = await neededOf(first);
  t.deepEqual(
    lost.filter((name) => newest.has(name)),
    [],
  );
});

/** Returns the objects of packs with contents that any set shows. */
async function neededOf(directory: ClientDirectory): Promise<ReadonlySet<string>> {
  await catchUp(inlineSystem(), directory);
  const places = new Set<string>();
  Catalog.reading(inlineSystem(), directory.catalogPath, ({ gc, contents }) => {
    for (const [, , , , contentId] of [...gc.entryUses()].flat()) {
      const pack = contentId === null ? undefined : contents.stored(contentId)?.pack;
      if (pack !== undefined && !isOfLog(pack)) places.add(objectName(pack));
    }
  });
  return places;
}

function objectName(pack: number): string {
  const claim = String(Math.floor(pack / 1_000_000)).padStart(10, '0');
  return `c/me/g1/packs/${claim}-${String(pack % 1_000_000).padStart(4, '0')}`;
}

/** Faults that strike the collecting machine at one request. */
const FAULTS = ['fails', 'is applied, and fails', 'fails, and is applied later'] as const;
/** More requests than one run makes. */
const MOST_REQUESTS = 200;
/** One request in so many is struck. */
const STRIDE = Math.min(17, Math.max(1, Math.round(1 / share)));

for (const [index, fault] of FAULTS.entries()) {
  test(`nothing acknowledged is lost, and no waste stays, if a request ${fault}`, async (t) => {
    const start = await starting;
    for (let at = 1 + ((seed + index) % STRIDE); at <= MOST_REQUESTS; at += STRIDE) {
      if (!(await strike(t, start, fault, at))) return;
    }
    t.fail('a run makes more requests');
  });
}

/** Returns false if the machine makes fewer requests. */
async function strike(
  t: ExecutionContext,
  start: Start,
  fault: (typeof FAULTS)[number],
  at: number,
) {
  const objects: Objects = new Map(start.objects);
  let requests = 0;
  let later = (): void => undefined;
  const before: BeforeRequest = (_kind, _name, apply) => {
    requests += 1;
    if (requests !== at) return;
    if (fault === 'is applied, and fails') apply();
    if (fault === 'fails, and is applied later') later = apply;
    throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
  };
  const first = start.on(objects, before, start.writer);
  const outcome = await purge(first).catch((error: unknown) => codeOf(error));
  if (requests < at) return false;
  t.is(outcome, 'SERVER_UNREACHABLE', `${fault} at ${at}`);
  const what = `${fault} at ${at}`;
  await restores(t, start, objects, { source: start.source, what });
  if (fault === 'fails, and is applied later') {
    later();
    await restores(t, start, objects, { source: start.source, what: `${what}, later` });
  }
  // The machine itself goes on, and another one finds what it has left.
  await collect(first);
  await settles(t, start, objects, what);
  await restores(t, start, objects, { source: start.source, what: `${what}, settled` });
  return true;
}

test('a machine that backs up at any moment of a run loses nothing', async (t) => {
  const start = await starting;
  for (let at = 1 + (seed % STRIDE); at <= MOST_REQUESTS; at += STRIDE) {
    const objects: Objects = new Map(start.objects);
    let requests = 0;
    let hasSecond = false;
    const before: BeforeRequest = async () => {
      requests += 1;
      if (requests !== at) return;
      hasSecond = true;
      const second = start.on(objects, undefined, start.writer);
      await backUpFrom(second, start.old, { storage: WHOLE_SETS });
    };
    const first = start.on(objects, before, start.writer);
    const outcome = await purge(first).then(
      ({ isDone }) => isDone,
      (error: unknown) => codeOf(error),
    );
    if (!hasSecond) return;
    const what = `a backup at request ${at}`;
    t.true([true, false, 'STORE_TAKEN'].includes(outcome), `${what}: ${outcome}`);
    await restores(t, start, objects, { source: start.old, what });
    await settles(t, start, objects, what);
    await restores(t, start, objects, { source: start.old, what: `${what}, settled` });
    t.deepEqual(await storedOn(first), await storedOn(start.on(objects)), what);
  }
  t.fail('a run makes more requests');
});

/** Rounds of the random schedule; each is a backup, a purge or a kill on one of three machines. */
const ROUNDS = Math.max(12, Math.round(60 * share));

test('machines that take turns at random agree on every content', async (t) => {
  const start = await starting;
  const random = seededRandom(seed);
  const objects: Objects = new Map(start.objects);
  let left = Infinity;
  const machines = [1, 2, 3].map(() =>
    start.on(
      objects,
      () => {
        left -= 1;
        if (left === 0) throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
      },
      start.writer,
    ),
  );
  const trees = [start.source, start.old, freshPath('tree')];
  grow(trees[2]!, 9);
  const pick = <T>(all: readonly T[]): T => all[random.bytes(1)[0]! % all.length]!;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const [machine, tree] = [pick(machines), pick(trees)];
    const isKilled = random.bytes(1)[0]! < 64;
    left = isKilled ? 1 + (random.bytes(1)[0]! % 40) : Infinity;
    const what = `seed ${seed}, round ${round}`;
    try {
      if (random.bytes(1)[0]! < 128) await backUpFrom(machine, tree, { storage: WHOLE_SETS });
      else await dropSome(machine, () => random.bytes(1)[0]! < 128);
    } catch (error) {
      t.true(isKilled, `${what}: ${codeOf(error)}`);
    }
    left = Infinity;
    const [one, other] = [await storedOn(pick(machines)), await storedOn(start.on(objects))];
    t.deepEqual(one, other, what);
    await sound(t, start, objects, what);
  }
  for (const machine of machines)
    t.deepEqual(await storedOn(machine), await storedOn(start.on(objects)));
  await settles(t, start, objects, `seed ${seed}`);
});

/** Deletes some of the sets that may be deleted, and collects the garbage. */
async function dropSome(directory: ClientDirectory, goes: () => boolean): Promise<void> {
  await catchUp(inlineSystem(), directory);
  const sets = Catalog.reading(inlineSystem(), directory.catalogPath, (catalog) => {
    const listed = catalog.sets.listed();
    const newest = listed.findLast(({ state }) => state === 'complete')!.set;
    return listed.filter(({ set }) => set < newest).map(({ set }) => set);
  }).filter(goes);
  if (sets.length > 0)
    await deleteSets(inlineSystem(), directory, { limits: LIMITS, sets, leastAgeMs: 0 });
  await collect(directory, goes());
}

/** Checks that every content of every set is stored, in a pack that is there. */
async function sound(t: ExecutionContext, { on }: Start, objects: Objects, what: string) {
  const fresh = on(objects);
  await catchUp(inlineSystem(), fresh);
  const broken = Catalog.reading(
    inlineSystem(),
    fresh.catalogPath,
    ({ history }) => history.unreadableVersions,
  );
  t.is(broken, 0, what);
  for (const line of await storedOn(fresh)) {
    const pack = Number(line.split(' ')[1]);
    if (isOfLog(pack) || objects.has(objectName(pack))) continue;
    t.fail(`${what}: ${objectName(pack)} is missing`);
    return;
  }
}
