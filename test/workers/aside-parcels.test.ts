// Pace: slow
/** Jobs of parcels on threads of libuv's pool give what jobs in the calling thread give. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type ContentKeys, Scheme } from '../../src/model/index.js';
import {
  Codec,
  decode,
  openBody,
  parseRecord,
  readContentIndex,
  readFrameIndex,
  RecordCipher,
  RecordKind,
} from '../../src/store/index.js';
import { type Clock, nodeSystem, type System } from '../../src/system/index.js';
import {
  AsideParcels,
  type HashInput,
  type HashOutput,
  InlineJobs,
  type JobRunner,
  type ParcelInput,
} from '../../src/workers/index.js';
import { FRAMES, foldersOf, LATER, parcelOf } from '../helpers/jobs.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { dir, file, makeTree, noise, symlink, text } from '../helpers/tree.js';

const STARTED_MS = Date.now();
/** A clock at which all files of these tests count as recently changed. */
const NOW: Clock = { nowMs: () => STARTED_MS, monotonicMs: () => performance.now() };
const keysOf = (scheme: ContentKeys['scheme']): ContentKeys => ({
  scheme,
  epoch: 1,
  contents: [{ epoch: 1, key: Buffer.alloc(32, 7) }],
  digests: Buffer.alloc(32, 9),
});

type Options = Partial<Pick<HashInput, 'frames' | 'rawRules' | 'keys' | 'crypt'>> & {
  readonly clock?: Clock;
};

/** Runs jobs in the calling thread, and notes their names. */
class NotedJobs extends InlineJobs {
  readonly names: string[] = [];

  override run: JobRunner['run'] = (name, input, transfer) => {
    this.names.push(name);
    return super.run(name, input, transfer);
  };
}

interface Ways {
  readonly here: readonly HashOutput[];
  readonly aside: readonly HashOutput[];
  /** The jobs that were left to the other runner. */
  readonly left: readonly string[];
}

/** Hashes the parcels one after the other in both ways. A job changes its input, so each gets a copy. */
async function bothWays(
  parcels: readonly ParcelInput[],
  { clock = LATER, frames, ...more }: Options,
): Promise<Ways> {
  const system: System = { ...nodeSystem(), clock };
  const others = new NotedJobs(system);
  await using inline = new InlineJobs(system);
  await using jobs = new AsideParcels(system, 2, others);
  const run = async (runner: JobRunner): Promise<HashOutput[]> => {
    const outputs: HashOutput[] = [];
    for (const one of parcels) {
      const parcel = { ...one, rows: Buffer.from(one.rows) };
      const input = { parcel, frames, ...more };
      outputs.push((await runner.run('hash', input)).output);
    }
    return outputs;
  };
  return { here: await run(inline), aside: await run(jobs), left: others.names };
}

/** Returns an output without times and contents, and without bytes behind the rows. */
function factsOf({
  contents,
  records,
  recordLengths,
  compressMs,
  encryptMs,
  ...facts
}: HashOutput) {
  const count = contents?.starts.length ?? 0;
  const end = count === 0 ? 0 : contents!.starts[count - 1]! + contents!.sizes[count - 1]!;
  return {
    ...facts,
    rows: Buffer.from(facts.rows),
    isTimed: Number.isFinite(compressMs + encryptMs),
    recordBytes: recordLengths.reduce((sum, length) => sum + length, 0) === (records?.length ?? 0),
    contents: contents && {
      ...contents,
      bytes: Buffer.from(contents.bytes.subarray(0, end)),
      digests: Buffer.from(contents.digests.subarray(0, 32 * count)),
    },
  };
}

/** Returns each record: its header without the random salt, and its contents by their digests. */
function recordsOf(
  { records, recordLengths }: Pick<HashOutput, 'records' | 'recordLengths'>,
  keys: ContentKeys | undefined,
) {
  let end = 0;
  return recordLengths.map((length) => {
    const record = Buffer.from(records!.subarray(end, end + length));
    end += length;
    const { header, index } = parseRecord(record);
    const cipher =
      keys === undefined ? undefined : new RecordCipher(nodeSystem().native, keys, header);
    const raw = Buffer.alloc(header.rawBytes);
    const body = openBody(record, header, cipher);
    decode(header.codec, body, raw);
    const entries =
      header.kind === RecordKind.frame
        ? readFrameIndex(header, index)
        : [{ ...readContentIndex(index), offset: 0 }];
    const { salt: _salt, bodyChecksum: _checksum, ...fields } = header;
    const contents = entries.map(
      ({ digest, offset, sizeBytes }) =>
        `${digest.toString('hex')} ${raw.subarray(offset, offset + sizeBytes).toString('base64')}`,
    );
    return { fields, body: Buffer.from(body), contents };
  });
}

/** Compares both ways. With `isWhole`, the records must be equal too; otherwise only their contents. */
async function compare(
  t: ExecutionContext,
  parcels: readonly ParcelInput[],
  options: Options,
  isWhole = false,
): Promise<Ways> {
  const ways = await bothWays(parcels, options);
  t.deepEqual(ways.aside.map(factsOf), ways.here.map(factsOf));
  for (const [index, output] of ways.aside.entries()) {
    const [aside, here] = [output, ways.here[index]!].map((one) => recordsOf(one, options.keys));
    if (isWhole) t.deepEqual(aside, here);
    const contentsIn = (records: typeof aside): string[] =>
      records!.flatMap(({ contents }) => contents).sort();
    t.deepEqual(contentsIn(aside), contentsIn(here));
  }
  return ways;
}

const OPTIONS: readonly (readonly [what: string, options: Options])[] = [
  ['contents', {}],
  ['contents of a moment ago', { clock: NOW }],
  ['keyed contents', { keys: keysOf(Scheme.aes) }],
  ['records', { frames: FRAMES }],
  ['records of a moment ago', { frames: FRAMES, clock: NOW }],
  [
    'records at a high level',
    { frames: { ...FRAMES, compression: { codec: Codec.zstd, level: 8 } } },
  ],
  ['plain records', { frames: { ...FRAMES, compression: { codec: Codec.none, level: 0 } } }],
  ['records by AES', { frames: FRAMES, keys: keysOf(Scheme.aes) }],
  ['records by ChaCha20', { frames: FRAMES, keys: keysOf(Scheme.chaCha) }],
  ['raw records', { frames: FRAMES, rawRules: { endings: ['txt'], belowBytes: 50 } }],
];

/** Entries that need no decision: files of all sizes, empty and equal ones, links, directories. */
const PLAIN = [
  ...Array.from({ length: 60 }, (_none, index) => file(`f${index}.txt`, text(index, 37 * index))),
  file('noise', noise(1, 900)),
  file('large noise.zip', noise(2, 9000)),
  file('large', text(5, 20_000)),
  file('equal', text(3, 37 * 3)),
  file('empty', ''),
  symlink('link', 'nowhere'),
  dir('d', [file('in d', text(8, 500)), file('x.c', text(9, 700))]),
  dir('e', []),
];

for (const [what, options] of OPTIONS) {
  test(`a parcel without decisions needs no other job: ${what}`, async (t) => {
    const folder = path.join(scratch(t), 'tree');
    makeTree(folder, PLAIN);
    const parcel = parcelOf(...foldersOf(folder));
    const { aside, left } = await compare(t, [parcel, parcel], options, true);
    t.deepEqual(left, []);
    t.is(aside[0]!.files, 65);
    t.is(aside[1]!.repeats, options.frames === undefined ? 0 : 65);
  });

  test(`random trees: ${what}`, async (t) => {
    t.log(`TEST_SEED=${seed}`);
    const folder = path.join(scratch(t), 'tree');
    makeTree(folder, randomTree(chooser(seed), 300));
    await compare(t, [parcelOf(...foldersOf(folder))], options);
  });
}

/** Changes of the file `m` after its listing. */
const CHANGES: readonly (readonly [what: string, change: (file: string) => void])[] = [
  ['grows', (at) => fs.appendFileSync(at, 'more')],
  ['becomes empty', (at) => fs.truncateSync(at, 0)],
  ['vanishes', (at) => fs.unlinkSync(at)],
  ['ends in a hole', (at) => fs.truncateSync(at, 100_000)],
  ['has an attribute', (at) => execFileSync('setfattr', ['-n', 'user.x', '-v', 'y', at])],
  ['is unreadable, with its directory', (at) => fs.rmSync(path.dirname(at), { recursive: true })],
];

for (const [what, change] of CHANGES) {
  for (const frames of [FRAMES, undefined]) {
    const kind = frames === undefined ? 'contents' : 'records';
    test(`a file that ${what} after it was listed: ${kind}`, async (t) => {
      const folder = path.join(scratch(t), 'tree');
      const names = ['a', 'b', 'm', 'y', 'z'].map((name) => file(name, `content of ${name}`));
      makeTree(folder, [dir('1', names), dir('2', names), dir('3', names)]);
      const parcel = parcelOf(...foldersOf(folder));
      change(path.join(folder, '2', 'm'));
      const roomy = { ...parcel, contentBytes: 200_000 };
      const { left } = await compare(t, [roomy], { frames });
      t.deepEqual(left, ['hash']);
    });
  }
}

for (const frames of [FRAMES, undefined]) {
  const kind = frames === undefined ? 'contents' : 'records';
  test(`only the part from a decision on is left to the other runner: ${kind}`, async (t) => {
    const home = scratch(t);
    const attributes = { 'user.a': Buffer.from('value') };
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const files = names.map((name, index) => file(name, text(index, 5000)));
    const system: System = { ...nodeSystem(), clock: LATER };
    for (const [index, name] of names.entries()) {
      const folder = path.join(home, name);
      makeTree(folder, files.with(index, { ...files[index]!, attributes }));
      const parcel = parcelOf(folder);
      await compare(t, [parcel], { frames });
      const left: ParcelInput[] = [];
      const others = new InlineJobs(system);
      const run: JobRunner['run'] = (job, input, transfer) => {
        left.push((input as HashInput).parcel);
        return InlineJobs.prototype.run.call(others, job, input, transfer) as never;
      };
      await using jobs = new AsideParcels(system, 2, Object.assign(others, { run }));
      const { output } = await jobs.run('hash', { parcel, frames });
      t.is(output.files, names.length);
      t.deepEqual(
        left.map(({ contentBytes }) => contentBytes),
        [5000 * (names.length - index)],
      );
    }
  });
}

test('where all files need a decision, most parcels are left to the other runner at once', async (t) => {
  const folder = path.join(scratch(t), 'tree');
  const attributes = { 'user.a': Buffer.from('value') };
  makeTree(
    folder,
    ['a', 'b', 'c'].map((name) => ({ ...file(name, name), attributes })),
  );
  const parcels = Array.from({ length: 40 }, () => parcelOf(folder));
  // A call for a parcel looks at the clock before and after it.
  let looks = 0;
  const nowMs = (): number => {
    looks += 1;
    return LATER.nowMs();
  };
  const system: System = { ...nodeSystem(), clock: LATER };
  const others = new NotedJobs(system);
  await using jobs = new AsideParcels({ ...system, clock: { ...LATER, nowMs } }, 1, others);
  for (const parcel of parcels) {
    await jobs.run('hash', { parcel, frames: FRAMES });
  }
  t.is(others.names.length, 40);
  t.true(looks > 0 && looks < 16, `${looks}`);
});

test('what the addon does not have is left to the other runner', async (t) => {
  const folder = path.join(scratch(t), 'tree');
  makeTree(folder, [file('a', text(1, 500))]);
  const parcel = parcelOf(folder);
  const zlib = { ...FRAMES, compression: { codec: Codec.zlib, level: 6 } };
  const crypt = { file: undefined, otherwise: 'chacha' } as const;
  const cases: readonly Options[] = [
    { frames: zlib },
    { frames: FRAMES, keys: keysOf(Scheme.readable) },
    { frames: FRAMES, keys: keysOf(Scheme.aes), crypt },
  ];
  for (const options of cases) {
    const { left } = await compare(t, [parcel], options, true);
    t.deepEqual(left, ['hash']);
  }
});

test('wanted contents of a parcel become the same records', async (t) => {
  const folder = path.join(scratch(t), 'tree');
  makeTree(folder, PLAIN);
  for (const keys of [undefined, keysOf(Scheme.aes)]) {
    const { aside } = await bothWays([parcelOf(...foldersOf(folder))], { keys });
    const contents = aside[0]!.contents!;
    const wanted = Uint8Array.from(contents.starts, (_start, index) => (index % 3 === 0 ? 0 : 1));
    const system: System = { ...nodeSystem(), clock: LATER };
    const others = new NotedJobs(system);
    await using inline = new InlineJobs(system);
    await using jobs = new AsideParcels(system, 2, others);
    const input = { contents, wanted, frames: FRAMES, keys };
    const here = (await inline.run('compress', input)).output;
    const { output } = await jobs.run('compress', input);
    t.deepEqual(recordsOf(output, keys), recordsOf(here, keys));
    t.is(output.records.buffer.byteLength, output.records.length); // it has no more memory than it needs
    t.deepEqual(others.names, []);
  }
});

test('jobs that wait when the runner is closed are rejected', async (t) => {
  const system = nodeSystem();
  const jobs = new AsideParcels(system, 1, new InlineJobs(system));
  const folder = path.join(scratch(t), 'tree');
  makeTree(folder, [file('a', 'a')]);
  await jobs.close();
  const input = { parcel: parcelOf(folder), frames: FRAMES };
  await t.throwsAsync(jobs.run('hash', input), { code: 'INTERRUPTED' });
});
