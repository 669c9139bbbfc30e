/** Tests of the interface `JobRunner` in src/workers/jobs.ts, for every implementation. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError, TardisError } from '../../src/errors/index.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { Codec, type Compression } from '../../src/store/index.js';
import type { JobRunner, RangeInput, WalkInput } from '../../src/workers/index.js';
import { fill, filled, parcelOf, startAt, walkedOf } from '../helpers/jobs.js';
import { entriesOf, sha256 } from '../helpers/rows.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';
import { listedFile } from '../helpers/identities.js';

const MIB = 1 << 20;
const MANY = 40;
const CHUNKS = 5;
const RAW: Compression = { codec: Codec.none, level: 0 };

/** Returns the input of a job that walks a folder. */
export function walkOf(folder: string): WalkInput {
  return {
    tasks: startAt(folder),
    firstFreeSlot: 1,
    slotStride: 1,
    maxEntries: 1000,
    excludes: NO_EXCLUDES,
  };
}

/** Returns the input of a job that reads a file in chunks. */
export function rangeOf(file: string): RangeInput {
  return {
    ...listedFile(file),
    sparseHead: undefined,
    offset: 0,
    bytes: 64 * MIB,
    compression: RAW,
  };
}

/** Declares the tests. `make` returns a runner for one test. */
export function jobRunnerSuite(make: () => Promise<JobRunner>): void {
  const using = (
    title: string,
    work: (t: ExecutionContext, jobs: JobRunner) => Promise<void>,
  ): void =>
    test(title, async (t) => {
      const jobs = await make();
      try {
        await work(t, jobs);
      } finally {
        await jobs.close();
      }
    });
  resultsSuite(using);
  rangesSuite(using);
  endingSuite(make);
}

type Using = (title: string, work: (t: ExecutionContext, jobs: JobRunner) => Promise<void>) => void;

function resultsSuite(using: Using): void {
  using('a job returns its result and its time', async (t, jobs) => {
    const folder = filled(t, { one: '1', 'two/three': '333' });
    const { output, busyMs } = await jobs.run('walk', walkOf(folder));
    t.deepEqual(
      walkedOf(output).map(({ entries }) => entries.map(({ name }) => name.toString())),
      [['one', 'two'], ['three']],
    );
    t.true(busyMs >= 0 && Number.isFinite(busyMs));
  });

  using('many jobs at once get a result each', async (t, jobs) => {
    const folder = scratchInMemory(t);
    const names = [...Array(MANY).keys()].map((n) => `d${n}/file ${n}`);
    fill(folder, Object.fromEntries(names.map((name) => [name, name])));
    const all = await Promise.all(
      names.map((name) => jobs.run('walk', walkOf(path.join(folder, path.dirname(name))))),
    );
    t.deepEqual(
      all.map(({ output }) => walkedOf(output)[0]!.entries[0]!.name.toString()),
      names.map((name) => path.basename(name)),
    );
  });

  using('what the outside world did is in the result, and is no error', async (t, jobs) => {
    const folder = filled(t, { kept: 'kept', gone: 'gone' });
    const parcel = parcelOf(folder);
    fs.rmSync(path.join(folder, 'gone'));
    const { output } = await jobs.run('read', { parcel, frames: undefined });
    t.deepEqual(
      entriesOf(Buffer.from(output.rows)).map(({ name, digest }) => [name.toString(), digest]),
      [['kept', sha256('kept')]],
    );
    t.is(output.failures.length, 1);
  });

  using('an error has a code, and the next job is not harmed', async (t, jobs) => {
    const folder = filled(t, { one: '1' });
    const wrong = jobs.run('none' as 'walk', walkOf(folder));
    const error = await t.throwsAsync(wrong, { instanceOf: TardisError, code: 'INTERNAL' });
    t.true(error.message.length > 0);
    const torn = { ...walkOf(folder), tasks: { ...startAt(folder), rows: Buffer.alloc(3) } };
    await t.throwsAsync(jobs.run('walk', torn), { instanceOf: TardisError });
    t.is((await jobs.run('walk', walkOf(folder))).output.entries, 1);
  });

  using('memory that is handed over cannot be used any more', async (t, jobs) => {
    const folder = filled(t, { one: '1' });
    const parcel = parcelOf(folder);
    const rows = Uint8Array.from(parcel.rows);
    const input = { parcel: { ...parcel, rows }, frames: undefined };
    const empty = new ArrayBuffer(0);
    const { output } = await jobs.run('read', input, [rows.buffer, rows.buffer, empty]);
    t.is(output.files, 1);
    t.is(rows.length, 0);
  });
}

function rangesSuite(using: Using): void {
  const lab = (t: ExecutionContext): { file: string; content: Buffer } => {
    const content = noise('range', CHUNKS * MIB);
    const file = written(scratchInMemory(t), 'file', content);
    return { file, content };
  };

  using('chunks come in order, and no more ahead than the window has', async (t, jobs) => {
    const { file, content } = lab(t);
    let [open, mostOpen] = [0, 0];
    const chunks: Buffer[] = [];
    const output = await jobs.runRange(rangeOf(file), 2, async (chunk) => {
      open += 1;
      mostOpen = Math.max(mostOpen, open);
      chunks.push(Buffer.from(chunk));
      await new Promise(setImmediate);
      open -= 1;
    });
    t.is(chunks.length, CHUNKS);
    t.is(open, 0, 'all of them were taken before the end');
    t.true(mostOpen <= 2, `${mostOpen}`);
    const heads = chunks.map((chunk) => chunk.length - MIB);
    const bytes = Buffer.concat(chunks.map((chunk, index) => chunk.subarray(heads[index])));
    t.true(bytes.equals(content));
    t.deepEqual(Buffer.from(output.digest), sha256(content));
  });

  using('nothing is read ahead while no chunk is taken', async (t, jobs) => {
    const { file } = lab(t);
    const waiting: (() => void)[] = [];
    let seen = 0;
    const running = jobs.runRange(rangeOf(file), 3, async () => {
      seen += 1;
      await new Promise<void>((resolve) => waiting.push(resolve));
    });
    while (waiting.length < 3) await new Promise(setImmediate);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    t.is(seen, 3);
    const release = setInterval(() => waiting.shift()?.(), 1);
    await running;
    clearInterval(release);
    t.is(seen, CHUNKS);
  });

  using(
    'the error of who takes the chunks ends the job, and comes back itself',
    async (t, jobs) => {
      const { file, content } = lab(t);
      const failure = new TardisError('DISK_FULL', 'as the test wants');
      let seen = 0;
      const failing = jobs.runRange(rangeOf(file), 2, async () => {
        seen += 1;
        if (seen === 2) throw failure;
      });
      t.is(await t.throwsAsync(failing), failure);
      t.true(seen < CHUNKS);
      const { digest } = await jobs.runRange(rangeOf(file), 2, async () => undefined);
      t.deepEqual(Buffer.from(digest), sha256(content));
    },
  );

  using('reading that is stopped ends soon, also if it has no chunks', async (t, jobs) => {
    const file = written(scratchInMemory(t), 'file', Buffer.alloc(64 * MIB));
    for (const compression of [undefined, RAW]) {
      const reading = jobs.runRange({ ...rangeOf(file), compression }, 2, async () => undefined);
      jobs.stopRanges();
      await t.throwsAsync(reading, { message: /the session is over/ });
    }
  });

  using('a file that is gone has a failure in its result', async (t, jobs) => {
    const { file } = lab(t);
    const input = rangeOf(file);
    fs.rmSync(file);
    const output = await jobs.runRange(input, 2, async () => t.fail('there are no chunks'));
    t.is(output.failure, 'ENOENT');
  });
}

function endingSuite(make: () => Promise<JobRunner>): void {
  test('it can be closed before its first job, and while it works', async (t) => {
    await (await make()).close();
    const folder = filled(t, { one: '1' });
    const jobs = await make();
    const pending = [...Array(MANY).keys()].map(async () => {
      try {
        return (await jobs.run('walk', walkOf(folder))).output.entries;
      } catch (error) {
        t.true(error instanceof TardisError, asTardisError(error).message);
        return 1;
      }
    });
    await jobs.close();
    t.true((await Promise.all(pending)).every((entries) => entries === 1));
  });
}
