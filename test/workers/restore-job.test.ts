// Pace: slow
/** Restore jobs, in this thread and on threads of libuv's pool, give what restoring each file by itself gives. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type History, openLocalHistory, unsealedHistory } from '../../src/history/index.js';
import type { PipelineSettings } from '../../src/pipeline/index.js';
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
import { differences, dir, file, look, makeTree, noise, sparse, text } from '../helpers/tree.js';
import { withoutMoments } from '../helpers/without-moments.js';

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
}

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
): Promise<Outcome> {
  const base = inlineSystem();
  const system =
    way === 'each' ? { ...base, native: { ...base.native, restoreFiles: leavesFiles } } : base;
  const here = new CountedJobs(system);
  const jobs = way === 'aside' ? new LibuvJobs(system, 2, here) : here;
  const failures = await restoreInline(system, place, { paths: [source], output, open, jobs });
  const reported = failures.map(
    (one) =>
      `${one.path.toString('latin1')}: ${JSON.stringify(one.error)} ${one.digest?.toString('hex')}`,
  );
  return { tree: withoutMoments(look(output)), failures: reported.sort(), here: here.count };
}

/** Restores in all ways into directories that `prepare` makes. Returns the outcome of jobs aside. */
async function compareWays(
  t: ExecutionContext,
  backup: Backup,
  prepare: (output: string) => void = () => undefined,
): Promise<Outcome> {
  const home = scratch(t);
  const outcomes: Outcome[] = [];
  for (const way of ['each', 'here', 'aside'] as const) {
    const output = path.join(home, way);
    prepare(output);
    outcomes.push(await restored(backup, output, way));
  }
  const [each, here, aside] = outcomes as [Outcome, Outcome, Outcome];
  for (const [way, { tree, failures }] of Object.entries({ here, aside })) {
    t.deepEqual(differences(each.tree, tree), []);
    t.deepEqual(
      failures.map((one) => one.replaceAll(`/${way}`, '/each')),
      each.failures,
    );
  }
  return aside;
}

const files = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => file(`f${from + index}`, text(from + index, 700)));

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
    prepare?: (output: string) => void,
  ): Promise<Outcome> => compareWays(t, isRemote ? far(backup) : backup, prepare);

  test(`new files of a tree need no other jobs${what}`, async (t) => {
    const backup = await backedUp(t, isEncrypting, (at) =>
      makeTree(at, [dir('a', [...files(0, 40), file('empty')]), dir('b', files(20, 80))]),
    );
    const { failures, here, tree } = await compareBoth(t, backup);
    t.deepEqual([failures, here], [[], 0]);
    t.true(tree.size > 120);
  });

  test(`files of large frames need no other jobs${what}`, async (t) => {
    const make = (at: string): void => makeTree(at, [dir('a', files(0, 700))]);
    const { failures, here } = await compareBoth(t, await backedUp(t, isEncrypting, make, USUAL));
    t.deepEqual([failures, here], [[], 0]);
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
    const { failures, here } = await compareBoth(t, await backedUp(t, isEncrypting, make, USUAL));
    t.deepEqual([failures, here], [[], 0]);
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
    const { failures, here } = await compareBoth(t, backup);
    t.deepEqual(failures, []);
    t.true(here >= 2);
  });

  test(`names that are taken${what}`, async (t) => {
    const backup = await backedUp(t, isEncrypting, (at) =>
      makeTree(at, [dir('a', files(0, 100)), dir('b', files(200, 20))]),
    );
    const { failures, here } = await compareBoth(t, backup, (output) => {
      const at = path.join(output, 'tree', 'a');
      fs.mkdirSync(at, { recursive: true });
      for (let index = 0; index < 90; index += 2) {
        fs.writeFileSync(path.join(at, `f${index}`), 'mine');
      }
    });
    t.is(failures.length, 45);
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

test('jobs that wait when the runner is closed are rejected', async (t) => {
  const system = inlineSystem();
  const jobs = new LibuvJobs(system, 1, new InlineJobs(system));
  await jobs.close();
  const input = {
    source: { directory: { path: '/nowhere' } },
    records: [],
    rows: new Uint8Array(0),
    places: new Uint32Array(0),
  } as unknown as Parameters<typeof jobs.run<'restore'>>[1];
  await t.throwsAsync(jobs.run('restore', input), { code: 'INTERRUPTED' });
});
