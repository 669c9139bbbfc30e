// Pace: long
/**
 * A client in a bucket is rewritten without a path, while requests fail, the process ends, or other machines write. Every
 * machine finds all acknowledged sets in one generation, and at the end nothing of the path is left. TEST_SEED and
 * TEST_SHARE choose the requests that fail.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError, TardisError } from '../../../src/errors/index.js';
import { finishSwitched, forgetHere, Generations } from '../../../src/maintenance/rewrite/index.js';
import { Catalog } from '../../../src/store/catalog/index.js';
import { buildEvent, createClientDirectory } from '../../../src/store/index.js';
import {
  changeSets,
  deleteSets,
  forgetRequestsOf,
  StoreWriter,
} from '../../../src/store/writer/index.js';
import {
  backUpFrom,
  BucketMachine,
  failingAt,
  REQUEST_FAULTS,
  restoreFrom,
  WHOLE_SETS,
} from '../../helpers/bucket-machines.js';
import { rejectedCode } from '../../helpers/codes.js';
import { requestFor } from '../../helpers/forgets.js';
import { inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { memoryFolder, removeScratch } from '../../helpers/scratch.js';
import { seed } from '../../helpers/seed.js';
import { share } from '../../helpers/share.js';
import { freshPaths } from '../../helpers/strike.js';
import { differences, look, noise } from '../../helpers/tree.js';
import { type BeforeRequest, type Objects } from '../../support/memory-object-store.js';

const CLIENT = 'me';
const LIMITS = SMALL_STORE.store;
const SETS = 2;
/** Every commit object is larger than the name of the next generation. */
const MOVED_BYTES = 96;

const home = fs.mkdtempSync(path.join(memoryFolder(), 'tardis-generations-'));
test.after.always(() => removeScratch(home));
const system = inlineSystem();
const freshPath = freshPaths(home);

const SECRET = noise('passing', 60_000);
const SECRET_PART = SECRET.subarray(1000, 1064);

/** A machine with a cache of its own. */
class Machine extends BucketMachine {
  constructor(objects: Objects, before?: BeforeRequest, like?: Machine) {
    super(freshPath('machine'), objects, before, like);
  }

  /** Carries out the requests to forget, and goes on with what an earlier run has left. */
  async forget(): Promise<void> {
    await finishSwitched(system, await this.open());
    const directory = await this.open();
    const requests = forgetRequestsOf(system, directory);
    if (requests.length === 0) return;
    await forgetHere(system, directory, requests, {
      limits: LIMITS,
      skipFile: 'skip',
      verify: true,
      acceptDamage: false,
      signal: new AbortController().signal,
      onProgress: () => undefined,
    });
  }

  /** Gives up a rewrite, as `--abort` does, and removes what is left of a former generation. */
  async tidy(): Promise<void> {
    const generations = new Generations(system, await this.open());
    const stage = await generations.state();
    if (stage === 'switched') await generations.removeOld();
    else if (stage !== 'none' || (await generations.isBuiltElsewhere())) {
      await generations.removeSecond();
    }
  }
}

type Start = Awaited<ReturnType<typeof begin>>;

async function begin() {
  const objects: Objects = new Map();
  const writer = new Machine(objects);
  await createClientDirectory(system, { store: writer.access.cache, client: CLIENT });
  const source = freshPath('tree');
  fs.mkdirSync(path.join(source, 'a'), { recursive: true });
  fs.writeFileSync(path.join(source, 'passing'), SECRET);
  for (let round = 1; round <= SETS; round += 1) {
    fs.writeFileSync(path.join(source, 'a', `small-${round}`), noise(`small ${round}`, 3000));
    fs.writeFileSync(path.join(source, 'large'), noise(`large ${round}`, 1_500_000));
    await backUpFrom(writer.present(), source, { storage: WHOLE_SETS });
  }
  const requested = requestFor(1, path.join(source, 'passing'), SETS);
  await changeSets(system, writer.present(), LIMITS, () => [
    { type: 'forget-requested', ...requested },
  ]);
  return { objects, writer, source };
}

const starting = begin();

/** Checks that a machine without a cache restores the newest set, with or without the path. */
async function restores(
  t: ExecutionContext,
  { objects, source }: Pick<Start, 'objects' | 'source'>,
  what: string,
): Promise<void> {
  const machine = new Machine(objects);
  const output = freshPath('out');
  t.deepEqual(await restoreFrom(await machine.open(), { source, output }), [], what);
  const found = differences(look(source), look(path.join(output, path.basename(source))));
  t.deepEqual(
    found.filter((line) => !line.startsWith('"passing"') && !line.startsWith('passing')),
    [],
    what,
  );
  removeScratch(output);
  removeScratch(machine.access.cache);
}

/** Returns the number of sets that a machine lists. */
async function setsOn(machine: Machine): Promise<number> {
  const { catalogPath } = await machine.open();
  return Catalog.reading(system, catalogPath, ({ sets }) => sets.listed().length);
}

/** Checks that nothing of the path is left. */
function isForgotten(t: ExecutionContext, objects: Objects, what: string): void {
  for (const [name, { bytes }] of objects) {
    t.false(bytes.includes(SECRET_PART), `${what}: the content is in ${name}`);
    t.false(bytes.includes('passing'), `${what}: the name is in ${name}`);
  }
}

/** Checks that only one generation is left. */
function isOne(t: ExecutionContext, objects: Objects, what: string): void {
  const generations = new Set<string>();
  for (const [name, { bytes }] of objects) {
    const [, generation, rest] = /^c\/me\/(g\d+[^/]*)\/(.*)$/.exec(name) ?? [];
    if (generation === undefined) continue;
    if (!/^log\/\d{10}$/.test(rest!) || bytes.length > MOVED_BYTES) generations.add(generation);
  }
  t.is(generations.size, 1, `${what}: ${[...generations].join()}`);
}

test('a client without a path is built beside the present one, and takes its place', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  const [machine, stale] = [new Machine(objects), new Machine(objects, undefined, start.writer)];
  await machine.forget();
  isForgotten(t, objects, 'at the end');
  isOne(t, objects, 'at the end');
  await restores(t, { ...start, objects }, 'at the end');
  const before = stale.present();
  const directory = await stale.open();
  t.regex(directory.generation ?? '', /^g2-[0-9a-f]{16}$/);
  t.is(await rejectedCode(StoreWriter.open(system, before, LIMITS)), 'CLIENT_MOVED');
  await backUpFrom(directory, start.source, { storage: WHOLE_SETS });
  t.is(await setsOn(machine), SETS + 1);
});

test('a writer that sleeps while the client is rewritten writes nothing any more', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  const sleeper = new Machine(objects, undefined, start.writer);
  const store = await StoreWriter.open(system, sleeper.present(), LIMITS);
  await new Machine(objects).forget();
  const kept = new Map(objects);
  store.appendOwn(buildEvent(store.nextSequence(), { type: 'forget-withdrawn', id: 1 }));
  t.is(await rejectedCode(store.checkpoint()), 'STORE_TAKEN');
  store.abandon();
  t.deepEqual([...objects.keys()], [...kept.keys()]);
  await restores(t, { ...start, objects }, 'at the end');
});

test('sets that other machines store while a rewrite ends are copied, too', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  const other = new Machine(objects, undefined, start.writer);
  let written = 0;
  let commits = 0;
  const machine = new Machine(objects, async (kind, name) => {
    if (kind !== 'put' || !name.startsWith('c/me/g1/log/')) return;
    commits += 1;
    if (commits < 2 || written >= 3) return; // the first one makes the note known
    written += 1;
    await backUpFrom(other.present(), start.source, { storage: WHOLE_SETS });
  });
  await machine.forget();
  t.is(written, 3);
  isOne(t, objects, 'at the end');
  t.is(await setsOn(other), SETS + 3);
  await restores(t, { ...start, objects }, 'at the end');
});

test('nobody deletes sets while a client is rewritten, until that is given up on any machine', async (t) => {
  const start = await starting;
  const objects: Objects = new Map(start.objects);
  let isCut = false;
  const cut: BeforeRequest = (kind, name) => {
    isCut ||= kind === 'put' && /\/g2-[0-9a-f]+\/packs\//.test(name);
    if (isCut) throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
  };
  const broken = new Machine(objects, cut);
  t.is(await rejectedCode(broken.forget()), 'SERVER_UNREACHABLE');
  const other = new Machine(objects, undefined, start.writer);
  const drop = async (): Promise<unknown> =>
    deleteSets(system, await other.open(), { limits: LIMITS, sets: [1], leastAgeMs: 0 });
  t.is(await rejectedCode(drop()), 'REKEY_UNFINISHED');
  await new Machine(objects).tidy();
  t.deepEqual(
    [...objects.keys()].filter((name) => name.includes('/g2-') || name.includes('/rewrites/')),
    [],
  );
  await drop();
  const again = new Machine(objects, undefined, broken);
  await again.forget();
  isForgotten(t, objects, 'at the end');
  isOne(t, objects, 'at the end');
  t.is(await setsOn(other), SETS - 1);
});

test('objects that lead to another generation are checked', async (t) => {
  const start = await starting;
  const made: Objects = new Map(start.objects);
  await new Machine(made).forget();
  const generation = [...made.keys()].find(
    (name) => name.endsWith('/client.json') && name.includes('/g2-'),
  )!;
  const present = path.dirname(generation).slice('c/me/'.length);
  const text = (bytes: string): { bytes: Buffer; modifiedMs: number } => ({
    bytes: Buffer.from(bytes),
    modifiedMs: 0,
  });
  const moved = (to: string): ReturnType<typeof text> =>
    text(`${JSON.stringify({ version: 1, moved: to })}\n`);
  const commits = [...start.objects.keys()].filter((name) => name.startsWith('c/me/g1/log/'));
  const last = `c/me/g1/log/${(commits.length + 1).toString().padStart(10, '0')}`;
  const damages: readonly (readonly [string, (objects: Objects) => unknown, string])[] = [
    [
      'a pointer to nothing',
      (all) => all.set('c/me/gen/0002.json', text('g2-0123456789abcdef')),
      'FORMAT_DAMAGED',
    ],
    [
      'the object of the first generation',
      (all) => all.set(generation, all.get('c/me/client.json')!),
      'FORMAT_DAMAGED',
    ],
    [
      'a second generation as the first',
      (all) => all.set('c/me/client.json', all.get(generation)!),
      'FORMAT_DAMAGED',
    ],
  ];
  for (const [what, damage, code] of damages) {
    const objects: Objects = new Map(made);
    damage(objects);
    t.is(await rejectedCode(new Machine(objects).open()), code, what);
  }
  for (const note of ['g3-0123456789abcdef', '../../other', 'g'.repeat(1000), '']) {
    const objects: Objects = new Map(made);
    objects.set('c/me/gen/0002.json', text(note));
    t.is((await new Machine(objects).open()).generation, present, 'the log leads there');
    t.is(objects.get('c/me/gen/0002.json')!.bytes.toString(), present);
  }
  const ends: readonly (readonly [string, ReturnType<typeof text>, string])[] = [
    ['a jump', moved('g3-0123456789abcdef'), 'RECORD_DAMAGED'],
    ['nothing', moved('g2-0123456789abcdef'), 'FORMAT_DAMAGED'],
    ['itself', moved('g1'), 'RECORD_DAMAGED'],
    ['another place', moved('../../c/other/g1'), 'RECORD_DAMAGED'],
    ['a later version', text('{"version":2,"moved":"g2-0123456789abcdef"}'), 'RECORD_DAMAGED'],
  ];
  for (const [what, end, code] of ends) {
    const objects: Objects = new Map(start.objects);
    objects.set(last, end);
    const stale = new Machine(objects, undefined, start.writer);
    t.is(await rejectedCode(stale.open()), code, `the log leads to ${what}`);
  }
  const split: Objects = new Map(made);
  split.set('c/me/gen/0002.json', text('g2-0123456789abcdef'));
  const stale = new Machine(split, undefined, start.writer);
  t.is(await rejectedCode(stale.open()), 'FORMAT_DAMAGED', 'log and pointer differ');
  t.regex(present, /^g2-/);
});

/** More requests than a rewrite makes here. */
const MOST_REQUESTS = 400;
/** Requests between two faults; a rewrite makes more than this bound, so that each run has a fault. */
const STRIDE = Math.min(30, Math.max(1, Math.round(3 / share)));

for (const [at, trouble] of REQUEST_FAULTS.entries()) {
  test(`a rewrite whose requests fail at any point (${trouble}) loses nothing, and is completed`, async (t) => {
    const start = await starting;
    for (let number = 1 + ((seed + at) % STRIDE); number < MOST_REQUESTS; number += STRIDE) {
      const objects: Objects = new Map(start.objects);
      const { before, count } = failingAt(trouble, number);
      const struck = new Machine(objects, before, start.writer);
      const failure = await struck.forget().then(
        () => undefined,
        (error: unknown) => asTardisError(error),
      );
      const what = `${trouble} at request ${number}`;
      if (count() < number) {
        t.log(`${count()} requests`);
        return;
      }
      if (failure !== undefined) t.is(failure.code, 'SERVER_UNREACHABLE', what);
      await restores(t, { ...start, objects }, what);
      const next =
        number % 2 === 0 ? new Machine(objects, undefined, struck) : new Machine(objects);
      if (number % 4 < 2) await next.tidy();
      await next.forget();
      await next.tidy();
      isForgotten(t, objects, what);
      isOne(t, objects, what);
      await restores(t, { ...start, objects }, what);
      const stale = new Machine(objects, undefined, start.writer);
      await backUpFrom(await stale.open(), start.source, { storage: WHOLE_SETS });
      await restores(t, { ...start, objects }, what);
      for (const { access } of [struck, next, stale]) removeScratch(access.cache);
    }
    t.fail('a rewrite makes more requests');
  });
}
