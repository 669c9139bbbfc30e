// Pace: slow
/**
 * A client in a bucket is rebuilt: commits are damaged, deleted, swapped or repeated, requests fail, the process ends, and
 * two machines rebuild at once. Every set that can be kept is kept, on every machine. TEST_SEED and TEST_SHARE choose the
 * requests that fail.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError } from '../../../src/errors/index.js';
import {
  type BucketRebuild,
  LOST_AND_FOUND,
  placeOrphans,
  rebuildInBucket,
} from '../../../src/maintenance/rebuild/index.js';
import { Catalog } from '../../../src/store/catalog/index.js';
import {
  buildEvent,
  createClientDirectory,
  fetchClient,
  parseCommitObject,
} from '../../../src/store/index.js';
import { StoreWriter } from '../../../src/store/writer/index.js';
import {
  backUpFrom,
  BucketMachine,
  failingAt,
  REQUEST_FAULTS,
  restoreFrom,
  WHOLE_SETS,
} from '../../helpers/bucket-machines.js';
import { rejectedCode } from '../../helpers/codes.js';
import { inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { folderIn, memoryFolder, removeScratch } from '../../helpers/scratch.js';
import { seed } from '../../helpers/seed.js';
import { ofThisRun, share } from '../../helpers/share.js';
import { freshPaths } from '../../helpers/strike.js';
import { differences, look, noise } from '../../helpers/tree.js';
import { type BeforeRequest, type Objects } from '../../support/memory-object-store.js';

const CLIENT = 'me';
const LIMITS = SMALL_STORE.store;
const SETS = 3;

const home = fs.mkdtempSync(path.join(memoryFolder(), 'tardis-rebuilds-'));
test.after.always(() => removeScratch(home));
const system = inlineSystem();
const freshPath = freshPaths(home);

/** A machine with a cache of its own. */
class Machine extends BucketMachine {
  constructor(objects: Objects, before?: BeforeRequest, like?: Machine) {
    super(freshPath('machine'), objects, before, like);
  }

  async rebuild(packsOnly = false): Promise<BucketRebuild> {
    await fetchClient(system, this.access, CLIENT);
    const signal = new AbortController().signal;
    const options = { packsOnly, limits: LIMITS, signal, onProgress: () => undefined };
    return rebuildInBucket(system, this.present(), options);
  }
}

type Start = Awaited<ReturnType<typeof begin>>;

async function begin() {
  const objects: Objects = new Map();
  const writer = new Machine(objects);
  await createClientDirectory(system, { store: writer.access.cache, client: CLIENT });
  const source = freshPath('tree');
  for (let round = 1; round <= SETS; round += 1) {
    const folder = folderIn(source, `folder-${round}`);
    fs.writeFileSync(path.join(folder, 'small'), noise(`small ${round}`, 3000));
    fs.writeFileSync(path.join(source, `large-${round}`), noise(`large ${round}`, 1_500_000));
    await backUpFrom(writer.present(), source, { storage: WHOLE_SETS });
  }
  return { objects, writer, source };
}

const starting = begin();

function commitsIn(objects: Objects): string[] {
  return [...objects.keys()].filter((name) => name.startsWith('c/me/g1/log/')).sort();
}

/** Returns the commits that have the listings of sets, oldest set first. */
function listingCommits(objects: Objects): string[] {
  return commitsIn(objects).filter((name) => isListing(objects, name));
}

function isListing(objects: Objects, name: string): boolean {
  return objects.get(name)!.bytes.includes('set-opened');
}

function damage(objects: Objects, name: string): void {
  const stored = objects.get(name)!;
  const bytes = Buffer.from(stored.bytes);
  bytes[200]! ^= 0xff;
  objects.set(name, { ...stored, bytes });
}

/** Returns how the newest set on a machine, or another one, differs from the source. */
async function lacks(machine: Machine, source: string, set?: string): Promise<string[]> {
  const output = freshPath('out');
  const wanted = set === undefined ? {} : { set };
  await restoreFrom(await machine.open(), { source, output, ...wanted });
  const found = differences(look(source), look(path.join(output, path.basename(source))));
  removeScratch(output);
  return found;
}

async function setsOn(
  machine: Machine,
): Promise<readonly { readonly set: number; readonly isDoubtful: boolean }[]> {
  const { catalogPath } = await machine.open();
  return Catalog.reading(system, catalogPath, ({ sets }) =>
    sets.listed().map(({ set, isDoubtful }) => ({ set, isDoubtful })),
  );
}

/**
 * Checks that every machine has all sets without a doubt, and that the next backup of any machine brings contents that were
 * in a lost commit.
 */
async function isAsBefore(t: ExecutionContext, start: Start, objects: Objects, what: string) {
  const fresh = new Machine(objects);
  const whole = [1, 2, 3].map((set) => ({ set, isDoubtful: false }));
  t.deepEqual(await setsOn(fresh), whole, what);
  const other = new Machine(objects, undefined, start.writer);
  await backUpFrom(await other.open(), start.source, { storage: WHOLE_SETS });
  t.deepEqual((await setsOn(fresh)).at(-1), { set: SETS + 1, isDoubtful: false }, what);
  t.deepEqual(await lacks(fresh, start.source), [], what);
  for (const { access } of [fresh, other]) removeScratch(access.cache);
}

test('a lost or damaged catalog is made again from the commits, and nothing is written', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  const machine = new Machine(objects, undefined, start.writer);
  const { catalogPath } = machine.present();
  for (const spoil of [
    () => fs.rmSync(catalogPath),
    () => fs.writeFileSync(catalogPath, noise('no catalog', 100_000)),
    () => undefined,
  ]) {
    spoil();
    const { lost, isMetadataLost, isNewGeneration } = await machine.rebuild();
    t.deepEqual([lost, isMetadataLost, isNewGeneration], [[], false, false]);
    t.deepEqual([...objects.keys()], [...start.objects.keys()]);
    t.deepEqual(await lacks(machine, start.source), []);
  }
  await isAsBefore(t, start, objects, 'at the end');
});

test('a machine with an intact catalog replaces any commit that is damaged, lost, swapped or repeated', async (t) => {
  const start = await starting;
  const commits = commitsIn(start.objects);
  const swap = (objects: Objects, name: string): void => {
    const other = commits[(commits.indexOf(name) + 1) % commits.length]!;
    const [one, two] = [objects.get(name)!, objects.get(other)!];
    objects.set(name, two).set(other, one);
  };
  const repeat = (objects: Objects, name: string): void => {
    objects.set(name, objects.get(commits[0] === name ? commits[1]! : commits[0]!)!);
  };
  const cut = (objects: Objects, name: string): void => {
    for (const later of commits) if (later >= name) objects.delete(later);
  };
  const lose = (objects: Objects, name: string): unknown => objects.delete(name);
  const cases = [damage, lose, swap, repeat, cut].flatMap((hurt) =>
    commits.map((name) => ({ hurt, name })),
  );
  for (const { hurt, name } of ofThisRun(cases, (one) => [one.hurt.name, one.name])) {
    const objects: Objects = new Map(start.objects);
    hurt(objects, name);
    const what = `${hurt.name} ${name}`;
    const machine = new Machine(objects, undefined, start.writer);
    const { lost, isMetadataLost, knowsMore, isNewGeneration } = await machine.rebuild();
    t.true(lost.length > 0, what);
    t.deepEqual([isMetadataLost, knowsMore, isNewGeneration], [false, true, true], what);
    await isAsBefore(t, start, objects, what);
    removeScratch(machine.access.cache);
  }
});

test('without a catalog, what is left of the sets is kept, and marked as doubtful on every machine', async (t) => {
  const start = await starting;
  for (const [index, name] of listingCommits(start.objects).entries()) {
    for (const hurt of [damage, (all: Objects, one: string) => all.delete(one)]) {
      const isEnd = name === commitsIn(start.objects).at(-1);
      if (hurt !== damage && isEnd) continue; // nothing shows that it existed
      const objects: Objects = new Map(start.objects);
      hurt(objects, name);
      const what = `commit of set ${index + 1}`;
      const machine = new Machine(objects);
      if (hurt === damage) t.is(await rejectedCode(machine.open()), 'RECORD_DAMAGED', what);
      const { lost, isMetadataLost, isNewGeneration } = await machine.rebuild();
      t.deepEqual([lost.length, isMetadataLost, isNewGeneration], [1, true, true], what);
      await placeOrphans(system, machine.present(), LIMITS);
      const left = await setsOn(new Machine(objects));
      t.deepEqual(
        left.map(({ set }) => set),
        [1, 2, 3].filter((set) => set !== index + 1),
        what,
      );
      t.true(
        left.every(({ isDoubtful }) => isDoubtful),
        what,
      );
      const other = new Machine(objects, undefined, start.writer);
      await backUpFrom(await other.open(), start.source, { storage: WHOLE_SETS });
      const fresh = new Machine(objects);
      t.is((await setsOn(fresh)).at(-1)?.isDoubtful, false, what);
      const missing = (await lacks(fresh, start.source)).filter(
        (line) => !line.includes(LOST_AND_FOUND),
      );
      t.deepEqual(missing, [], what);
    }
  }
});

test('a machine whose catalog is of another history than the bucket changes nothing, unless it may', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  for (const name of commitsIn(objects).slice(2)) objects.delete(name);
  const thief = new Machine(objects);
  await backUpFrom(await thief.open(), start.source, { storage: WHOLE_SETS });
  const before = new Map(objects);
  const machine = new Machine(objects, undefined, start.writer);
  t.is(await rejectedCode(machine.rebuild()), 'STORE_FORKED');
  t.deepEqual([...objects.keys()], [...before.keys()]);
  const { lost } = await machine.rebuild(true);
  t.deepEqual(lost, []);
  t.deepEqual(await lacks(machine, start.source), []);
});

test('an object with a number far behind the last commit is refused', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  objects.set('c/me/g1/log/0000099999', objects.get('c/me/g1/log/0000000001')!);
  t.is(await rejectedCode(new Machine(objects).rebuild()), 'RECORD_DAMAGED');
});

test('a directory whose parent is lost is placed below its own root', async (t) => {
  const objects: Objects = new Map();
  const writer = new Machine(objects);
  await createClientDirectory(system, { store: writer.access.cache, client: CLIENT });
  const [first, second] = [freshPath('first'), freshPath('second')];
  const deep = path.join(second, 'middle', 'deep');
  for (const folder of [first, deep]) fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(first, 'file'), noise('first', 2000));
  fs.writeFileSync(path.join(deep, 'early'), noise('early', 2000));
  await backUpFrom(writer.present(), first, { storage: WHOLE_SETS });
  await backUpFrom(writer.present(), second, { storage: WHOLE_SETS });
  const lost = listingCommits(objects).at(-1)!;
  fs.writeFileSync(path.join(deep, 'late'), noise('late', 2000));
  await backUpFrom(writer.present(), second, { storage: WHOLE_SETS });
  damage(objects, lost);
  const machine = new Machine(objects);
  const { isMetadataLost, directory } = await machine.rebuild();
  t.true(isMetadataLost);
  t.true((await placeOrphans(system, directory, LIMITS)) > 0);
  const output = freshPath('out');
  t.deepEqual(await restoreFrom(await new Machine(objects).open(), { source: second, output }), []);
  const found = fs.readdirSync(output, { recursive: true, encoding: 'utf8' });
  t.true(
    found.some((name) => name.includes(LOST_AND_FOUND) && name.endsWith('late')),
    found.join(),
  );
});

test('contents in packs are found without the commit that covers them', async (t) => {
  const objects: Objects = new Map();
  const writer = new Machine(objects);
  await createClientDirectory(system, { store: writer.access.cache, client: CLIENT });
  const source = freshPath('large');
  fs.mkdirSync(source);
  for (const name of ['one', 'two', 'three', 'four']) {
    fs.writeFileSync(path.join(source, name), noise(name, 1_500_000));
  }
  const storage = { ...WHOLE_SETS, checkpoint: { ...WHOLE_SETS.checkpoint, bytes: 1 << 20 } };
  await backUpFrom(writer.present(), source, { storage });
  const commits = commitsIn(objects);
  const ofPacks = commits.filter((name, index) => {
    const { body } = parseCommitObject(objects.get(name)!.bytes, index + 1);
    return index < commits.length - 1 && body.ranges.length > 1 && !isListing(objects, name);
  });
  t.true(ofPacks.length > 0);
  for (const name of ofPacks) {
    const left: Objects = new Map(objects);
    left.delete(name);
    const machine = new Machine(left);
    t.is((await machine.rebuild()).lost.length, 1);
    // The commit may have had the entry of a file, too.
    const output = freshPath('out');
    const fresh = await new Machine(left).open();
    t.deepEqual(await restoreFrom(fresh, { source, output }), [], name);
    t.true(fs.readdirSync(path.join(output, path.basename(source))).length >= 3, name);
  }
});

test('a writer that sleeps while a rebuild closes a hole writes nothing any more', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  const sleeper = new Machine(objects, undefined, start.writer);
  const store = await StoreWriter.open(system, sleeper.present(), LIMITS);
  const claimed = commitsIn(objects).length;
  const other = new Machine(objects, undefined, start.writer);
  await backUpFrom(await other.open(), start.source, { storage: WHOLE_SETS });
  objects.delete(commitsIn(objects)[claimed]!);
  await other.rebuild();
  const kept = [...objects.keys()];
  store.appendOwn(buildEvent(store.nextSequence(), { type: 'forget-withdrawn', id: 1 }));
  t.is(await rejectedCode(store.checkpoint()), 'STORE_TAKEN');
  store.abandon();
  t.deepEqual([...objects.keys()], kept);
});

test('two machines that rebuild at once keep everything', async (t) => {
  const start = await starting;
  const name = commitsIn(start.objects)[2]!;
  const objects: Objects = new Map(start.objects);
  objects.delete(name);
  const second = new Machine(objects, undefined, start.writer);
  let inner: Promise<BucketRebuild> | undefined;
  const first = new Machine(
    objects,
    async (kind, put) => {
      if (kind === 'put' && put.endsWith('/client.json')) await (inner ??= second.rebuild());
    },
    start.writer,
  );
  const { isNewGeneration } = await first.rebuild();
  t.false(isNewGeneration); // the other one was faster
  t.true((await inner!).isNewGeneration);
  await isAsBefore(t, start, objects, 'at the end');
});

test('a backup that is stored while a client is rebuilt is kept', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  objects.delete(commitsIn(objects)[1]!);
  const other = new Machine(objects, undefined, start.writer);
  let written = false;
  const machine = new Machine(
    objects,
    async (kind, name) => {
      if (written || kind !== 'put' || !name.endsWith('/client.json')) return;
      written = true;
      await backUpFrom(other.present(), start.source, { storage: WHOLE_SETS });
    },
    start.writer,
  );
  const { isNewGeneration } = await machine.rebuild();
  t.true(isNewGeneration && written);
  const sets = await setsOn(new Machine(objects));
  t.deepEqual(sets.at(-1), { set: SETS + 1, isDoubtful: false });
  await backUpFrom(await other.open(), start.source, { storage: WHOLE_SETS });
  t.deepEqual(await lacks(new Machine(objects), start.source), []);
});

test('a machine that knows only the commits before a hole follows, and what it wrote into the hole is not left out', async (t) => {
  const start = await starting;
  const commits = commitsIn(start.objects);
  const few: Objects = new Map(start.objects);
  for (const name of commits.slice(2)) few.delete(name);
  const early = new Machine(few);
  await early.open();
  const objects: Objects = new Map(start.objects);
  objects.delete(commits[2]!);
  const hurt = new Map(objects);
  await new Machine(objects, undefined, start.writer).rebuild();
  t.regex((await new Machine(objects, undefined, early).open()).generation ?? '', /^g2-/);
  const late = new Machine(hurt, undefined, early);
  let written = false;
  const writer = new Machine(
    hurt,
    async (kind, name) => {
      if (written || kind !== 'put' || !name.startsWith('c/me/g1/log/')) return;
      written = true;
      await backUpFrom(late.present(), start.source, { storage: WHOLE_SETS });
    },
    start.writer,
  );
  t.is(await rejectedCode(writer.rebuild()), 'STORE_FORKED');
  t.true(written);
  t.false([...hurt.keys()].some((name) => name.includes('/gen/')));
  const { isMetadataLost } = await writer.rebuild(true);
  t.true(isMetadataLost);
  t.true((await setsOn(new Machine(hurt))).every(({ isDoubtful }) => isDoubtful));
});

/** More requests than a rebuild makes here. */
const MOST_REQUESTS = 600;
/** Fewer than the 73 requests of a rebuild here, so that every seed has a case. */
const STRIDE = Math.min(50, Math.max(1, Math.round(3 / share)));

for (const [at, trouble] of REQUEST_FAULTS.entries()) {
  test(`a rebuild whose requests fail at any point (${trouble}) loses nothing, and is completed`, async (t) => {
    const start = await starting;
    const hole = commitsIn(start.objects)[2]!;
    for (let number = 1 + ((seed + at) % STRIDE); number < MOST_REQUESTS; number += STRIDE) {
      const objects: Objects = new Map(start.objects);
      objects.delete(hole);
      const { before, count } = failingAt(trouble, number);
      const struck = new Machine(objects, before, start.writer);
      const failure = await struck.rebuild().then(
        () => undefined,
        (error: unknown) => asTardisError(error),
      );
      const what = `${trouble} at request ${number}`;
      if (count() < number) {
        t.log(`${count()} requests`);
        return;
      }
      if (failure !== undefined) t.is(failure.code, 'SERVER_UNREACHABLE', what);
      const next = new Machine(objects, undefined, number % 2 === 0 ? struck : start.writer);
      await next.rebuild();
      await isAsBefore(t, start, objects, what);
      for (const { access } of [struck, next]) removeScratch(access.cache);
    }
    t.fail('a rebuild makes more requests');
  });
}

test('no client is made over the objects of another one, also if nobody looked before', async (t) => {
  const left: Objects = new Map((await starting).objects);
  left.delete('c/me/client.json');
  const names = [...left.keys()];
  const { cache } = new Machine(left).access;
  const creating = createClientDirectory(system, { store: cache, client: CLIENT });
  t.is(await rejectedCode(creating), 'FORMAT_DAMAGED');
  t.deepEqual([...left.keys()], names);
  t.false(fs.existsSync(path.join(cache, CLIENT)), 'no keys are left that nobody knows');
});
