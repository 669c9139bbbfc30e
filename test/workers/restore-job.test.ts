// Pace: slow
/** Restore jobs, in this thread and on threads of libuv's pool, give what restoring each file by itself gives. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type History, openLocalHistory, unsealedHistory } from '../../src/history/index.js';
import type { PipelineSettings } from '../../src/pipeline/index.js';
import { type NativeCalls, RestoreCount } from '../../src/system/index.js';
import { InlineJobs, type JobRunner, LibuvJobs, openJobs } from '../../src/workers/index.js';
import {
  backupInline,
  inlineSystem,
  type Place,
  restoreInline,
  withNative,
} from '../helpers/inline.js';
import { systemError } from '../helpers/jobs.js';
import { leavesFiles } from '../support/leaves-all.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { keyringOfPlace } from '../helpers/damage.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { flipAt } from '../helpers/rot.js';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import {
  differences,
  dir,
  file,
  look,
  makeTree,
  noise,
  sparse,
  symlink,
  text,
} from '../helpers/tree.js';

const STARTED_NS = BigInt(Date.now()) * 1_000_000n;

/** Makes trees comparable that were restored one after the other: without the journal, and times that nobody set. */
function withoutMoments(tree: ReturnType<typeof look>): ReturnType<typeof look> {
  const kept = [...tree].filter(([name]) => !name.startsWith('.tardis-restore-'));
  return new Map(
    kept.map(([name, words]) => [
      name,
      words.replace(/ (\d+)ns/, (all, ns: string) => (BigInt(ns) >= STARTED_NS ? ' now' : all)),
    ]),
  );
}

interface Backup {
  readonly place: Place;
  readonly source: string;
  readonly open: () => Promise<History>;
}

interface Outcome {
  readonly tree: ReturnType<typeof look>;
  readonly failures: readonly string[];
  /** Number of jobs that were left to the other runner. */
  readonly here: number;
  /** Number of files that the addon wrote by its call for many in this thread. */
  readonly inOneCall: number;
}

/** Calls of the addon that do something else. */
type World = (native: NativeCalls) => Partial<NativeCalls>;

/** Runs jobs in the calling thread, and counts them. */
class CountedJobs extends InlineJobs {
  count = 0;

  override run: JobRunner['run'] = (name, input, transfer) => {
    this.count += 1;
    return super.run(name, input, transfer);
  };
}

/** Parcels and frames of usual sizes, with hundreds of files each. */
const USUAL = { parcelFiles: 512, parcelBytes: 2 << 20, frameBytes: 1 << 20 };

async function backedUp(
  t: ExecutionContext,
  isEncrypting: boolean,
  make: (source: string) => void,
  settings: Partial<PipelineSettings> = {},
): Promise<Backup> {
  const home = scratch(t);
  const place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  make(source);
  const password = isEncrypting ? { password: PASSWORD } : {};
  await backupInline(inlineSystem(), place, [source], { create: true, settings, ...password });
  const keyring = isEncrypting ? await keyringOfPlace(place) : undefined;
  const open = async (): Promise<History> => {
    const system = inlineSystem();
    const local = openLocalHistory(system, place);
    return keyring === undefined ? local : unsealedHistory(local, keyring, system.native);
  };
  return { place, source, open };
}

/** Returns the backup as in a store on another machine: its records are fetched. */
function far(backup: Backup): Backup {
  const open = async (): Promise<History> => {
    const get = (history: History, key: keyof History): unknown => {
      if (key === 'directory') return undefined;
      const value: unknown = Reflect.get(history, key, history);
      return typeof value === 'function' ? value.bind(history) : value;
    };
    return new Proxy(await backup.open(), { get: get as never });
  };
  return { ...backup, open };
}

/** How jobs restore: each file by itself, or with the addon's call for many in this thread or aside. */
type Way = 'each' | 'here' | 'aside';

async function restored(
  { place, source, open }: Backup,
  output: string,
  way: Way,
  world: World = () => ({}),
): Promise<Outcome> {
  const base = inlineSystem();
  const native = { ...base.native, ...world(base.native) };
  let inOneCall = 0;
  const counted: NativeCalls['restoreFiles'] = (...values) => {
    const refused = base.native.restoreFiles(...values);
    inOneCall += new Float64Array(values[12].buffer)[RestoreCount.files]!;
    return refused;
  };
  const many = { each: leavesFiles, here: counted, aside: base.native.restoreFiles };
  const system = { ...base, native: { ...native, restoreFiles: many[way] } };
  const here = new CountedJobs(system);
  const jobs = way === 'aside' ? new LibuvJobs(system, 2, here) : here;
  const failures = await restoreInline(system, place, { paths: [source], output, open, jobs });
  const reported = failures.map(
    (one) =>
      `${one.path.toString('latin1')}: ${JSON.stringify(one.error)} ${one.digest?.toString('hex')}`,
  );
  const tree = withoutMoments(look(output));
  return { tree, failures: reported.sort(), here: here.count, inOneCall };
}

/**
 * Restores in all ways into directories that `prepare` makes. Returns the outcome of the last way, with the number of
 * files that were written in one call here.
 */
async function compareWays(
  t: ExecutionContext,
  backup: Backup,
  prepare: (output: string) => World | undefined = () => undefined,
  ways: readonly Way[] = ['here', 'aside'],
): Promise<Outcome> {
  const home = scratch(t);
  const restoredIn = async (way: Way): Promise<Outcome> => {
    const output = path.join(home, way);
    return restored(backup, output, way, prepare(output));
  };
  const each = await restoredIn('each');
  let last = each;
  let inOneCall = 0;
  for (const way of ways) {
    last = await restoredIn(way);
    t.deepEqual(differences(each.tree, last.tree), []);
    t.deepEqual(
      last.failures.map((one) => one.replaceAll(`/${way}`, '/each')),
      each.failures,
    );
    inOneCall += last.inOneCall;
  }
  return { ...last, inOneCall };
}

const files = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => file(`f${from + index}`, text(from + index, 700)));

/** Makes what has the names of files: another content, a link, and a directory. */
const HOSTILE = [
  (at: string) => fs.writeFileSync(path.join(at, 'f95'), 'mine'),
  (at: string) => fs.symlinkSync('../../b', path.join(at, 'f96')),
  (at: string) => fs.mkdirSync(path.join(at, 'f97')),
] as const;

const KINDS = [
  { isEncrypting: false, isRemote: false },
  { isEncrypting: true, isRemote: false },
  { isEncrypting: false, isRemote: true },
  { isEncrypting: true, isRemote: true },
];

for (const { isEncrypting, isRemote } of KINDS) {
  const what = `${isEncrypting ? ', encrypted' : ''}${isRemote ? ', from another machine' : ''}`;
  const compareBoth = (
    t: ExecutionContext,
    backup: Backup,
    prepare?: (output: string) => World | undefined,
  ): Promise<Outcome> => compareWays(t, isRemote ? far(backup) : backup, prepare);

  test(`new files of a tree need no other jobs${what}`, async (t) => {
    const backup = await backedUp(t, isEncrypting, (at) =>
      makeTree(at, [dir('a', [...files(0, 40), file('empty')]), dir('b', files(20, 80))]),
    );
    const { failures, here, tree, inOneCall } = await compareBoth(t, backup);
    t.deepEqual([failures, here], [[], 0]);
    t.true(inOneCall > 40);
    t.true(tree.size > 120);
  });

  test(`files of large frames need no other jobs${what}`, async (t) => {
    const make = (at: string): void => makeTree(at, [dir('a', files(0, 700))]);
    const backup = await backedUp(t, isEncrypting, make, USUAL);
    const { failures, here, inOneCall } = await compareBoth(t, backup);
    t.deepEqual([failures, here], [[], 0]);
    t.true(inOneCall > 40);
  });

  test(`files with attributes need no other jobs${what}`, async (t) => {
    const attributes = { 'user.a': Buffer.from('value') };
    const make = (at: string): void =>
      makeTree(at, [
        dir(
          'all',
          files(0, 600).map((one) => ({ ...one, attributes })),
        ),
        dir('some', [
          ...files(1000, 200),
          ...files(1200, 20).map((one) => ({ ...one, attributes })),
          ...files(1220, 200),
        ]),
      ]);
    const backup = await backedUp(t, isEncrypting, make, USUAL);
    const { failures, here, inOneCall } = await compareBoth(t, backup);
    t.deepEqual([failures, here], [[], 0]);
    t.true(inOneCall > 40);
  });

  test(`random trees, large and sparse files${what}`, async (t) => {
    t.log(`TEST_SEED=${seed}`);
    const choose = chooser(seed);
    const backup = await backedUp(t, isEncrypting, (at) =>
      makeTree(at, [
        ...randomTree(choose, 150),
        file('large', noise(1, 3 << 20)),
        sparse('holes', 1 << 20, [[4096, Buffer.from('data')]]),
      ]),
    );
    const { failures, here, inOneCall } = await compareBoth(t, backup);
    t.deepEqual(failures, []);
    t.true(here >= 2);
    // From another machine, the job reads its records as it goes, and makes each file by itself.
    t.true(isRemote || inOneCall > 20, `${inOneCall}`);
  });

  test(`names that are taken${what}`, async (t) => {
    const backup = await backedUp(t, isEncrypting, (at) =>
      makeTree(at, [
        dir('a', [...files(0, 100), file('empty'), symlink('link', 'f1')]),
        dir('b', [...files(200, 20), dir('deep', files(300, 20))]),
      ]),
    );
    const { failures, here, inOneCall } = await compareBoth(t, backup, (output) => {
      const at = path.join(output, 'tree', 'a');
      fs.mkdirSync(at, { recursive: true });
      for (let index = 0; index < 90; index += 2) {
        fs.writeFileSync(path.join(at, `f${index}`), 'mine');
      }
      for (const make of HOSTILE) make(at);
      return undefined;
    });
    t.is(failures.length, 45 + HOSTILE.length);
    t.true(inOneCall > 40);
    t.true(here <= 2, `${here}`); // they share jobs
  });

  test(`records that are damaged, cut short or missing${what}`, async (t) => {
    const backup = await backedUp(t, isEncrypting, (at) =>
      makeTree(at, [dir('a', files(0, 50)), file('own', noise(2, 900_000)), ...files(100, 50)]),
    );
    const packs = path.join(backup.place.store, 'me', 'packs');
    const [pack] = fs
      .readdirSync(packs, { recursive: true, encoding: 'utf8' })
      .filter((name) => fs.statSync(path.join(packs, name)).isFile());
    const at = path.join(packs, pack!);
    const { size } = fs.statSync(at);
    for (const part of [0.3, 0.6, 0.9]) flipAt(at, Math.floor(size * part));
    t.true((await compareBoth(t, backup)).failures.length > 0);
    fs.truncateSync(at, Math.floor(size / 2));
    t.true((await compareBoth(t, backup)).failures.length > 0);
    fs.unlinkSync(at);
    t.true((await compareBoth(t, backup)).failures.length > 0);
  });
}

test('others put things in the way after everything was looked at', async (t) => {
  const backup = await backedUp(t, false, (at) =>
    makeTree(at, [
      dir('a', [...files(90, 20), file('empty'), symlink('link', 'f91')]),
      dir('b', [...files(200, 20), dir('deep', files(300, 20))]),
    ]),
  );
  const outside = scratch(t);
  const meanwhile = (output: string): World => {
    const tree = path.join(output, 'tree');
    let isFirst = true;
    return (native) => ({
      // Each job opens the target when it begins to write.
      openListed: (given, identity) => {
        const fd = native.openListed(given, identity);
        if (isFirst && fs.existsSync(path.join(tree, 'b', 'deep'))) {
          isFirst = false;
          for (const make of HOSTILE) make(path.join(tree, 'a'));
          fs.rmdirSync(path.join(tree, 'b', 'deep'));
          fs.symlinkSync(outside, path.join(tree, 'b', 'deep'));
        }
        return fd;
      },
    });
  };
  // Aside, several jobs begin at once.
  const { failures, inOneCall } = await compareWays(t, backup, meanwhile, ['here']);
  t.deepEqual(fs.readdirSync(outside), []);
  t.true(failures.length >= HOSTILE.length + 20);
  t.true(inOneCall > 30);
});

test('a job whose records lie in many packs is left to the other runner, which opens few', async (t) => {
  const backup = await backedUp(t, false, (at) => makeTree(at, [dir('a', [])]));
  for (let index = 0; index < 40; index += 1) {
    makeTree(path.join(backup.source, `d${index}`), files(index * 100, 2));
    await backupInline(inlineSystem(), backup.place, [backup.source]);
  }
  const { failures, here } = await compareWays(t, backup);
  t.deepEqual(failures, []);
  t.true(here > 0);
});

test('a large file is restored by another thread, so that this one goes on', async (t) => {
  const backup = await backedUp(t, false, (at) =>
    makeTree(at, [file('large', noise(1, 20 << 20)), file('not so large', noise(2, 3 << 20))]),
  );
  const { place, source, open } = backup;
  // Other threads have the real calls.
  const notHere = withNative(() => ({
    createFileAt: () => {
      throw systemError('EPERM');
    },
  }));
  await using jobs = await openJobs(notHere, {
    threads: 1,
    recentDigests: 1024,
    isForRestores: true,
  });
  const output = path.join(scratch(t), 'out');
  const failures = await restoreInline(inlineSystem(), place, {
    paths: [source],
    output,
    open,
    jobs,
  });
  t.deepEqual(
    failures.map((one) => path.basename(one.path.toString())),
    ['not so large'],
  );
  t.is(fs.statSync(path.join(output, 'tree', 'large')).size, 20 << 20);
});
