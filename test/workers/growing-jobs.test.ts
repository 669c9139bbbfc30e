/** A few jobs run in the calling thread; threads are started for many, and for a large file. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import type { NativeCalls, System } from '../../src/system/index.js';
import { type JobRunner, openJobs, type WalkOutput } from '../../src/workers/index.js';
import { Codec } from '../../src/store/index.js';
import { startAt, systemWith, walkedOf } from '../helpers/jobs.js';
import { noise } from '../helpers/tree.js';
import { scratch } from '../helpers/scratch.js';
import { listedFile } from '../helpers/identities.js';

const BUSY_MS = 40;
const ENOUGH_MS = 20_000;

/** Returns a system that counts the directories that are listed in this thread, each of which takes BUSY_MS. */
function slowSystem(): { system: System; listed: () => number } {
  let count = 0;
  const system = systemWith();
  const native = new Proxy(system.native, {
    get(calls, key): unknown {
      if (key === 'listOrHold') {
        count += 1;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_MS);
      }
      return Reflect.get(calls, key as keyof NativeCalls);
    },
  });
  return { system: { ...system, native }, listed: () => count };
}

async function walk(jobs: JobRunner, folder: string): Promise<WalkOutput> {
  const tasks = startAt(folder);
  const input = {
    tasks,
    firstFreeSlot: tasks.slots.length,
    slotStride: 1,
    maxEntries: 10_000,
    excludes: NO_EXCLUDES,
  };
  return (await jobs.run('walk', input)).output;
}

/** Returns the names found. Flags differ: a thread has another clock, by which the files are new. */
function namesOf(walked: ReturnType<typeof walkedOf>): string[] {
  return walked.flatMap(({ entries }) => entries.map(({ name }) => name.toString()));
}

test('the first jobs run in the calling thread, later ones in a pool, with equal results', async (t) => {
  const folder = scratch(t);
  for (const name of ['a', 'b', 'c']) fs.writeFileSync(path.join(folder, name), name);
  const { system, listed } = slowSystem();
  const jobs = await openJobs(system, { threads: 1, recentDigests: 1024, mayBeFew: true });
  t.teardown(() => jobs.close());
  const first = walkedOf(await walk(jobs, folder));
  t.is(listed(), 1);
  const begunMs = performance.now();
  for (;;) {
    const before = listed();
    const again = walkedOf(await walk(jobs, folder));
    t.deepEqual(namesOf(again), namesOf(first));
    if (listed() === before) break;
    if (performance.now() - begunMs > ENOUGH_MS) return t.fail('no pool was started');
  }
  t.pass();
});

/** Walks a folder until a walk happens in another thread. Fails after a while. */
async function walkUntilPool(t: ExecutionContext, jobs: JobRunner, listed: () => number) {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'a'), 'a');
  const begunMs = performance.now();
  for (;;) {
    const before = listed();
    await walk(jobs, folder);
    if (listed() === before) return t.pass();
    if (performance.now() - begunMs > ENOUGH_MS) return t.fail('no pool was started');
  }
}

test('a large file is read by a thread from the start, and later jobs move to threads as ever', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'large'), noise(1, 1 << 20));
  const { system, listed } = slowSystem();
  const jobs = await openJobs(system, { threads: 1, recentDigests: 1024, mayBeFew: true });
  t.teardown(() => jobs.close());
  const input = {
    ...listedFile(path.join(folder, 'large')),
    sparseHead: undefined,
    offset: 0,
    bytes: 1 << 20,
    compression: { codec: Codec.none, level: 0 },
  };
  let bytes = 0;
  const done = await jobs.runRange(input, 2, async (chunk) => void (bytes += chunk.length));
  t.true(bytes >= 1 << 20);
  t.true(done.busyMs >= 0);
  await walkUntilPool(t, jobs, listed);
});

test('runners that had nothing or little to do end', async (t) => {
  const options = { threads: 2, recentDigests: 1024, mayBeFew: true };
  const idle = await openJobs(systemWith(), options);
  await idle.close();
  const jobs = await openJobs(slowSystem().system, options);
  await walk(jobs, scratch(t));
  await jobs.close(); // while its pool starts
  t.pass();
});
