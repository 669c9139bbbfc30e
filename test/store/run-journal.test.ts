// Pace: slow
/** The journal of a client's runs, in a directory and in a bucket: adding, joining in pages, bounds, damage and rewrites. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { encodeRun, runFacts, type RunRecord } from '../../src/model/index.js';
import {
  addRuns,
  carryRuns,
  type ClientDirectory,
  createClientDirectory,
  readRuns,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { accessTo } from '../helpers/bucket-machines.js';
import { rejectedCode } from '../helpers/codes.js';
import { aRun } from '../helpers/runs.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { FaultPlan, faultySystem, KilledError } from '../support/faults.js';
import {
  type BeforeRequest,
  MemoryObjectStore,
  type Objects,
} from '../support/memory-object-store.js';

const system = nodeSystem();

interface Journal {
  readonly directory: ClientDirectory;
  names(): string[];
  /** Puts bytes into the place of an object. */
  put(name: string, bytes: Buffer): void;
}

async function inDirectory(t: ExecutionContext): Promise<Journal> {
  const store = path.join(scratchInMemory(t), 'store');
  const directory = await createClientDirectory(system, { store, client: 'me' });
  const folder = path.join(directory.path, 'runs');
  return {
    directory,
    names: () => (fs.existsSync(folder) ? fs.readdirSync(folder).sort() : []),
    put: (name, bytes) => fs.writeFileSync(path.join(folderIn(folder, '.'), name), bytes),
  };
}

function inBucket(t: ExecutionContext, before?: BeforeRequest): Journal {
  const objects: Objects = new Map();
  const cache = scratchInMemory(t);
  const bucket = accessTo(new MemoryObjectStore(objects, before), cache);
  const place = folderIn(cache, 'me');
  const prefix = 'c/me/runs/';
  return {
    directory: { client: 'me', path: place, catalogPath: path.join(place, 'tardis.db'), bucket },
    names: () =>
      [...objects.keys()]
        .filter((name) => name.startsWith(prefix))
        .map((name) => name.slice(prefix.length))
        .sort(),
    put: (name, bytes) => objects.set(prefix + name, { bytes, modifiedMs: 0 }),
  };
}

const refuseRemoval: BeforeRequest = (kind) => {
  if (kind === 'remove') throw new TardisError('BUCKET_DENIED', 'no right to delete');
};

const MEDIA: readonly [string, (t: ExecutionContext) => Journal | Promise<Journal>][] = [
  ['a directory', inDirectory],
  ['a bucket', (t) => inBucket(t)],
  ['a bucket that refuses to delete', (t) => inBucket(t, refuseRemoval)],
];

/** Returns records whose ends are in the order of the array. */
function runsOf(count: number): RunRecord[] {
  return Array.from({ length: count }, (_, n) =>
    aRun({ endedMs: 1000 + n, beganMs: 7, words: `{"n":${n}}` }),
  );
}

/** Compares records by their lines, so that a difference is short. */
function areRuns(t: ExecutionContext, found: readonly RunRecord[], wanted: readonly RunRecord[]) {
  const lines = (runs: readonly RunRecord[]): string[] =>
    runs.map((run) =>
      JSON.stringify(Object.entries(run).sort(([one], [other]) => (one < other ? -1 : 1))),
    );
  const [a, b] = [lines(found), lines(wanted)];
  const at = a.findIndex((line, n) => line !== b[n]);
  t.deepEqual([a.length, a[at]], [b.length, b[at]], `record ${at}`);
}

const idsOf = (runs: readonly RunRecord[]): string[] => runs.map(({ id }) => id);

for (const [place, make] of MEDIA) {
  test(`records of ${place} are joined in pages, and read oldest first`, async (t) => {
    const { directory, names } = await make(t);
    t.deepEqual(await readRuns(system, directory), []);
    const runs = runsOf(200);
    for (const run of runs) await addRuns(system, directory, [run]);
    areRuns(t, await readRuns(system, directory), runs);
    const some = await readRuns(system, directory, 40);
    t.true(some.length >= 40 && some.length < 200, `${some.length}`);
    areRuns(t, some, runs.slice(-some.length));
    const mayDelete = place !== 'a bucket that refuses to delete';
    t.is(names().length > 200, !mayDelete);
    if (mayDelete) t.true(names().length <= 3 + 33, names().join(' '));
  });

  test(`writers of ${place} lose no record of each other`, async (t) => {
    const { directory } = await make(t);
    const runs = runsOf(120);
    for (let at = 0; at < runs.length; at += 8) {
      const together = runs.slice(at, at + 8).map((run) => addRuns(system, directory, [run]));
      const reading = readRuns(system, directory);
      await Promise.all(together);
      const known = idsOf(await reading);
      t.deepEqual(
        idsOf(runs.slice(0, at)).filter((id) => !known.includes(id)),
        [],
      );
    }
    const byEnd = (one: RunRecord, other: RunRecord) => one.endedMs - other.endedMs;
    areRuns(t, (await readRuns(system, directory)).sort(byEnd), runs);
  });
}

test('a journal is bounded: its oldest objects go, and long records fill no page beyond what is read', async (t) => {
  const { directory, names, put } = await inDirectory(t);
  const old = runsOf(300);
  for (const [n, run] of old.entries()) {
    put(`${String(n + 1).padStart(10, '0')}-0200-0000000a.page`, gzipSync(encodeRun(run)));
  }
  const long = runsOf(40 * 64).map((run) => ({
    ...run,
    endedMs: 90_000 + run.endedMs,
    words: '…"'.repeat(4500),
  }));
  for (let at = 0; at < long.length; at += 64) {
    await addRuns(system, directory, long.slice(at, at + 64));
  }
  t.true(names().length <= 258, `${names().length}`);
  const read = await readRuns(system, directory, Infinity);
  areRuns(t, read.slice(-long.length), long);
  t.true(read.length < long.length + 256);
});

test('what decides how a client is stays known, whatever comes after it', async (t) => {
  const { directory } = await inDirectory(t);
  const deciding = [
    aRun({ kind: 'restore', end: 'done', endedMs: 1 }),
    aRun({ kind: 'alert', way: 'server', endedMs: 2, numbers: { lateAfterMs: 77 } }),
    aRun({ kind: 'check', endedMs: 3, numbers: { totalBytes: 9, readBytes: 9, faults: 3 } }),
  ];
  await addRuns(system, directory, deciding);
  const others = runsOf(60 * 64);
  for (let at = 0; at < others.length; at += 60) {
    await addRuns(system, directory, others.slice(at, at + 60));
  }
  const { faults, restoredAtMs, lateAfterMs } = runFacts(await readRuns(system, directory), 9999);
  t.deepEqual(
    { faults, restoredAtMs, lateAfterMs },
    { faults: 3, restoredAtMs: 1, lateAfterMs: 77 },
  );
});

test('an object with the highest number hides no later record, and joining loses none', async (t) => {
  const { directory, put } = await inDirectory(t);
  await addRuns(system, directory, [aRun({ endedMs: 1 })]);
  put('9999999999-0001-00000000.run', gzipSync(''));
  const later = runsOf(300);
  for (const run of later) await addRuns(system, directory, [run]);
  areRuns(t, (await readRuns(system, directory)).slice(1), later);
});

test('records of a clock that is ahead are dated now', async (t) => {
  const { directory } = await inDirectory(t);
  await addRuns(system, directory, [aRun({ beganMs: 9e15, endedMs: 9e15 })]);
  const [{ beganMs, endedMs } = aRun()] = await readRuns(system, directory);
  t.true(beganMs <= Date.now() && endedMs <= Date.now());
});

const GOOD = aRun({ endedMs: 500 });
const gzipped = (...lines: string[]): Buffer => gzipSync(lines.join('\n'));
/** Bytes of an object that a program has not written, with the number of records that count. */
const HOSTILE: readonly [string, Buffer, number][] = [
  ['no gzip', Buffer.from('{}'), 0],
  ['an empty object', Buffer.alloc(0), 0],
  ['a cut object', gzipped(encodeRun(GOOD)).subarray(0, 40), 0],
  ['a bomb', gzipSync(Buffer.alloc(32 << 20)), 0],
  ['10 MB', Buffer.alloc(10 << 20, 7), 0],
  [
    'wrong lines beside a good one',
    gzipped('{', '[]', 'null', '\0', encodeRun(GOOD), '{"id":1}'),
    1,
  ],
  ['an endless line', gzipped(`{"id":"${'a'.repeat(1 << 20)}"}`), 0],
  ['many lines', gzipSync('[]\n'.repeat(100_000)), 0],
];
const MISNAMED = [
  'x',
  '1-1-1.run',
  '0000000001-0001-0000000a.run.new',
  '0000000001-0001-0000000A.run',
  '99999999999-0001-0000000a.run',
  '0000000001-0001-0000000a.runs',
];

for (const [place, make] of MEDIA.slice(0, 2)) {
  test(`what is damaged or strange in ${place} hides no other record`, async (t) => {
    const { directory, put, names } = await make(t);
    const [first, ...rest] = runsOf(40);
    await addRuns(system, directory, [first!]);
    for (const [n, [, bytes]] of HOSTILE.entries()) put(`000000000${n}-0001-0000000b.run`, bytes);
    for (const name of MISNAMED) put(name, gzipped(encodeRun(aRun())));
    areRuns(t, await readRuns(system, directory), [first!, GOOD]);
    for (const run of rest) await addRuns(system, directory, [run]);
    areRuns(t, await readRuns(system, directory), [first!, GOOD, ...rest]);
    t.deepEqual(
      MISNAMED.filter((name) => !names().includes(name)),
      [],
    );
  });
}

test('links, directories and pipes in the place of objects are passed over', async (t) => {
  const { directory } = await inDirectory(t);
  const runs = runsOf(40);
  await addRuns(system, directory, runs.slice(0, 1));
  const folder = path.join(directory.path, 'runs');
  const outside = path.join(scratchInMemory(t), 'outside');
  fs.writeFileSync(outside, gzipped(encodeRun(aRun())));
  fs.symlinkSync(outside, path.join(folder, '0000000002-0001-0000000c.run'));
  fs.mkdirSync(path.join(folder, '0000000003-0001-0000000c.run'));
  spawnSync('mkfifo', [path.join(folder, '0000000004-0001-0000000c.run')]);
  areRuns(t, await readRuns(system, directory), runs.slice(0, 1));
  for (const run of runs.slice(1)) await addRuns(system, directory, [run]);
  areRuns(t, await readRuns(system, directory), runs);
  t.true(fs.existsSync(outside));
});

test('a journal that leads out of the client is neither read nor written', async (t) => {
  const { directory } = await inDirectory(t);
  const outside = folderIn(scratchInMemory(t), 'outside');
  fs.writeFileSync(path.join(outside, '0000000001-0001-0000000a.run'), gzipped(encodeRun(GOOD)));
  fs.symlinkSync(outside, path.join(directory.path, 'runs'));
  t.deepEqual((await readRuns(system, directory).catch(() => [])).length, 0);
  t.not(await rejectedCode(addRuns(system, directory, [aRun()])), undefined);
  t.is(fs.readdirSync(outside).length, 1);
});

for (const [place, make] of MEDIA.slice(0, 2)) {
  test(`a new generation in ${place} has the records without words, ids of roots and proofs`, async (t) => {
    const from = await make(t);
    const to = place === 'a bucket' ? from : await make(t);
    const runs = runsOf(200).map((run, n): RunRecord => {
      if (n % 3 === 0) return { ...run, kind: n % 2 === 0 ? 'check' : 'restore' };
      return { ...run, configured: ['AAAAAAAAAAAA'] };
    });
    for (let at = 0; at < runs.length; at += 20) {
      await addRuns(system, from.directory, runs.slice(at, at + 20));
    }
    await carryRuns(system, from.directory, to.directory);
    areRuns(
      t,
      await readRuns(system, to.directory),
      runs
        .filter(({ kind }) => kind === 'backup')
        .map(({ words: _words, configured: _roots, ...run }) => run),
    );
    await addRuns(system, to.directory, [aRun({ endedMs: 9999 })]);
    t.is((await readRuns(system, to.directory)).at(-1)?.endedMs, 9999);
  });
}

test('after a kill or a fault at any operation, a journal has all that was in it, and what was acknowledged', async (t) => {
  const { directory } = await inDirectory(t);
  const before = runsOf(32);
  for (const run of before) await addRuns(system, directory, [run]);
  const folder = path.join(directory.path, 'runs');
  const saved = path.join(scratchInMemory(t), 'saved');
  fs.cpSync(folder, saved, { recursive: true });
  const own = aRun({ endedMs: 5000 });
  for (const mode of [{ kind: 'kill' }, { kind: 'fail-from', code: 'ENOSPC' }] as const) {
    for (let at = 1; ; at += 1) {
      fs.rmSync(folder, { recursive: true });
      fs.cpSync(saved, folder, { recursive: true });
      const plan = new FaultPlan(at, mode);
      let isAdded = true;
      try {
        await addRuns(faultySystem(system, plan), directory, [own]);
      } catch (error) {
        isAdded = false;
        if (!(error instanceof KilledError || error instanceof TardisError)) throw error;
      }
      const ids = idsOf(await readRuns(system, directory));
      t.deepEqual(
        idsOf(before).filter((id) => !ids.includes(id)),
        [],
        plan.hit,
      );
      t.true(!isAdded || ids.includes(own.id), plan.hit);
      if (plan.hit === undefined) break;
    }
  }
});
