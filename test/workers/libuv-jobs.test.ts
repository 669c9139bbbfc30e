/** Jobs on threads of libuv's pool give what the same jobs give in the calling thread. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { type ContentKeys, Scheme } from '../../src/model/index.js';
import { Codec, type Compression } from '../../src/store/index.js';
import { type Clock, nodeSystem, type System } from '../../src/system/index.js';
import {
  type ReadInput,
  type ReadOutput,
  InlineJobs,
  type JobRunner,
  LibuvJobs,
} from '../../src/workers/index.js';
import { FRAMES, foldersOf, LATER, parcelOf } from '../helpers/jobs.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { file, makeTree, text } from '../helpers/tree.js';

const SYSTEM: System = { ...nodeSystem(), clock: LATER };
const keysOf = (scheme: ContentKeys['scheme']): ContentKeys => ({
  scheme,
  epoch: 1,
  contents: [{ epoch: 1, key: Buffer.alloc(32, 7) }],
  digests: Buffer.alloc(32, 9),
});

/** Runs jobs in the calling thread, and notes their names. */
class NotedJobs extends InlineJobs {
  readonly names: string[] = [];

  override run: JobRunner['run'] = (name, input, transfer) => {
    this.names.push(name);
    return super.run(name, input, transfer);
  };
}

/** Returns an output without times, and without records, whose salts are random. */
function factsOf({ contents, records, buildMs: _, ...facts }: ReadOutput) {
  const { starts, sizes, isRaw, kinds } = contents ?? {};
  const rows = Buffer.from(facts.rows);
  return { ...facts, rows, recordBytes: records?.length, starts, sizes, isRaw, kinds };
}

const OPTIONS: readonly (readonly [what: string, options: Omit<ReadInput, 'parcel'>])[] = [
  ['contents', { frames: undefined }],
  ['records', { frames: FRAMES }],
  ['encrypted records', { frames: FRAMES, keys: keysOf(Scheme.aes) }],
];

for (const [what, options] of OPTIONS) {
  test(`several parcels at once give the same ${what}`, async (t) => {
    t.log(`TEST_SEED=${seed}`);
    const folder = path.join(scratch(t), 'tree');
    makeTree(folder, randomTree(chooser(seed), 200));
    const folders = foldersOf(folder);
    const others = new NotedJobs(SYSTEM);
    await using jobs = new LibuvJobs(SYSTEM, 2, others);
    const aside = await Promise.all(
      folders.map((at) => jobs.run('read', { parcel: parcelOf(at), ...options })),
    );
    t.deepEqual(others.names, []);
    for (const [index, at] of folders.entries()) {
      await using inline = new InlineJobs(SYSTEM);
      const here = await inline.run('read', { parcel: parcelOf(at), ...options });
      const repeats = aside[index]!.output.repeats;
      if (repeats > here.output.repeats) continue; // another parcel has sent some of the contents
      t.deepEqual(factsOf(aside[index]!.output), factsOf(here.output));
      t.true(aside[index]!.busyMs > 0);
    }
  });
}

test('records that the addon cannot make are made by the other runner', async (t) => {
  const folder = path.join(scratch(t), 'tree');
  makeTree(folder, [file('a', text(1, 500))]);
  const zlib: Compression = { codec: Codec.zlib, level: 6 };
  const cases = [
    { frames: { ...FRAMES, compression: zlib } },
    { frames: FRAMES, keys: keysOf(Scheme.readable) },
  ];
  for (const options of cases) {
    const others = new NotedJobs(SYSTEM);
    await using jobs = new LibuvJobs(SYSTEM, 2, others);
    await jobs.run('read', { parcel: parcelOf(folder), ...options });
    t.deepEqual(others.names, ['read']);
  }
});

test('the memory of a job that failed is used again', async (t) => {
  const folder = path.join(scratch(t), 'tree');
  makeTree(folder, [file('a', text(1, 500)), file('b', text(2, 500))]);
  fs.symlinkSync('a', path.join(folder, 'c'));
  let looks = 0;
  const clock: Clock = {
    ...LATER,
    nowMs: () => {
      looks += 1;
      if (looks === 2) throw new TypeError('a bug');
      return LATER.nowMs();
    },
  };
  const system = { ...SYSTEM, clock };
  await using jobs = new LibuvJobs(system, 1, new InlineJobs(system));
  const input = (): ReadInput => ({ parcel: parcelOf(folder), frames: FRAMES });
  await t.throwsAsync(jobs.run('read', input()), { code: 'INTERNAL' });
  const { output } = await jobs.run('read', input());
  t.is(output.files, 2);
});

test('jobs that wait when the runner is closed are rejected', async (t) => {
  const jobs = new LibuvJobs(SYSTEM, 1, new InlineJobs(SYSTEM));
  const folder = path.join(scratch(t), 'tree');
  makeTree(folder, [file('a', 'a')]);
  await jobs.close();
  const input = { parcel: parcelOf(folder), frames: FRAMES };
  await t.throwsAsync(jobs.run('read', input), { code: 'INTERRUPTED' });
});
