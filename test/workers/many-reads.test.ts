// Pace: slow
/** A parcel whose files are read by one call gives what reading one file after another gives. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RowFlag, RowReader, Scheme } from '../../src/model/index.js';
import { type Clock, nodeSystem } from '../../src/system/index.js';
import { GatherCursor } from '../../src/system/native-gathering.js';
import {
  type HashInput,
  type HashOutput,
  InlineJobs,
  type ParcelInput,
} from '../../src/workers/index.js';
import { FRAMES, foldersOf, parcelOf, systemWith } from '../helpers/jobs.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { entriesOf } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { file, makeTree, text } from '../helpers/tree.js';

const { native } = nodeSystem();
/** A clock at which all files of these tests count as recently changed. */
const STARTED_MS = Date.now();
const NOW: Clock = { nowMs: () => STARTED_MS, monotonicMs: () => performance.now() };
const KEYS = {
  scheme: Scheme.aes,
  epoch: 1,
  contents: [{ epoch: 1, key: randomBytes(32) }],
  digests: randomBytes(32),
};

type Options = Partial<Pick<HashInput, 'frames' | 'rawRules' | 'keys' | 'crypt'>> & {
  /** True if the clock stands at the moment in which this test file began. */
  readonly isNow?: boolean;
};

interface Outcome {
  readonly output: unknown;
  /** Files that were read by the call for many, and calls of it. */
  readonly inCalls: number;
  readonly calls: number;
  readonly hashed: HashOutput;
}

/** Reads the parcels, one after another, by the call for many, or by that for one file if `isEach`. */
async function read(
  parcels: readonly ParcelInput[],
  { isNow = false, frames, ...more }: Options,
  isEach: boolean,
): Promise<Outcome[]> {
  const seen = { calls: 0, files: 0 };
  const watched = {
    readFiles: (...values: Parameters<typeof native.readFiles>) => {
      native.readFiles(...values);
      const numbers = new Float64Array(values[9].buffer);
      seen.calls += 1;
      seen.files += numbers[GatherCursor.files]!;
    },
  };
  const each: Pick<typeof native, 'readFileAt'> = {
    readFileAt: (...values) => native.readFileAt(...values),
  };
  const system = systemWith({ ...watched, ...(isEach ? each : {}) }, isNow ? NOW : undefined);
  const jobs = new InlineJobs(system);
  const outcomes: Outcome[] = [];
  for (const parcel of parcels) {
    const { output } = await jobs.run('hash', { parcel, frames, ...more });
    const { calls, files: inCalls } = seen;
    outcomes.push({ output: reported(output), inCalls, calls, hashed: output });
  }
  return outcomes;
}

/** Returns the fields of an output, without bytes behind the contents, and the time that it took. */
function reported({ contents, compressMs: _, ...output }: HashOutput): unknown {
  if (contents === undefined) return output;
  const { bytes, digests, starts, sizes } = contents;
  const count = starts.length;
  const end = count === 0 ? 0 : starts[count - 1]! + sizes[count - 1]!;
  const used = { bytes: bytes.subarray(0, end), digests: digests.subarray(0, 32 * count) };
  return { ...output, contents: { ...contents, ...used } };
}

/** A job changes the rows of its input, so each gets a copy. */
const copied = (parcels: readonly ParcelInput[]): ParcelInput[] =>
  parcels.map((parcel) => ({ ...parcel, rows: Buffer.from(parcel.rows) }));

async function both(
  t: ExecutionContext,
  parcels: readonly ParcelInput[],
  options: Options = {},
): Promise<Outcome> {
  const each = await read(copied(parcels), options, true);
  const many = await read(copied(parcels), options, false);
  t.deepEqual(
    many.map(({ output }) => output),
    each.map(({ output }) => output),
  );
  t.is(each.at(-1)!.inCalls, 0);
  return many.at(-1)!;
}

const OPTIONS: readonly (readonly [what: string, options: Options])[] = [
  ['contents', {}],
  ['contents of a moment ago', { isNow: true }],
  ['keyed contents, with schemes', { keys: KEYS, crypt: { file: undefined, otherwise: 'chacha' } }],
  ['records', { frames: FRAMES }],
  [
    'records, some of them raw',
    { frames: FRAMES, rawRules: { endings: ['é', 'txt', 'ж', ''], belowBytes: 50 } },
  ],
];

/** Files that the call for many can read, whatever the random tree has. */
const PLAIN_FILES = Array.from({ length: 20 }, (_none, index) =>
  file(`plain ${index}`, text(index, 100)),
);

for (const [what, options] of OPTIONS) {
  test(`random trees, twice: ${what}`, async (t) => {
    t.log(`TEST_SEED=${seed}`);
    const folder = path.join(scratch(t), 'tree');
    makeTree(folder, [...randomTree(chooser(seed), 400), ...PLAIN_FILES]);
    const parcel = parcelOf(...foldersOf(folder));
    const many = await both(t, [parcel, parcel], options);
    t.true(many.inCalls >= 2 * PLAIN_FILES.length);
  });
}

test('names decide on kinds and on raw contents as they do for one file', async (t) => {
  const folder = scratch(t);
  const endings = [
    'zip',
    'ZIP',
    'Zip',
    '7z\naac',
    'z',
    '',
    'jpe',
    'jpeg',
    'tar.gz',
    'webm2',
    'É',
    'ö',
  ];
  const more = ['.zip', 'zip', 'a.123456789012', 'a.12345678901', 'a.zip.', 'a..gz', '.a.gz'];
  for (const name of [...endings.map((ending) => `x.${ending}`), ...more]) {
    fs.writeFileSync(path.join(folder, name), `content of ${name}`);
  }
  for (const byte of [0xc9, 0xd7, 0xdf, 0xe9, 0xf7, 0xff]) {
    const name = Buffer.concat([Buffer.from(`${folder}/latin.`), Buffer.of(byte)]);
    fs.writeFileSync(name, `content of byte ${byte}`);
  }
  const rawRules = { endings: ['é', '×', '÷', 'ß', 'ÿ', 'c3'], belowBytes: 0 };
  const { hashed, inCalls } = await both(t, [parcelOf(folder)], { rawRules });
  t.is(inCalls, fs.readdirSync(folder).length);
  t.is(
    hashed.contents!.isRaw.reduce((sum, isRaw) => sum + isRaw, 0),
    13,
    'three spellings of zip, three names with gz, jpeg, and six bytes',
  );
});

function replaced(file: string, make: () => unknown): void {
  fs.unlinkSync(file);
  make();
}

/** Changes of the file `m` after its listing. */
const CHANGES: readonly (readonly [what: string, change: (file: string) => void])[] = [
  ['grows', (file) => fs.appendFileSync(file, 'more')],
  ['shrinks', (file) => fs.truncateSync(file, 3)],
  ['becomes empty', (file) => fs.truncateSync(file, 0)],
  ['has other bytes', (file) => fs.writeFileSync(file, 'M'.repeat(11))],
  ['has other permissions', (file) => fs.chmodSync(file, 0o751)],
  ['has a second name', (file) => fs.linkSync(file, `${file}2`)],
  ['vanishes', (file) => fs.unlinkSync(file)],
  ['is a link', (file) => replaced(file, () => fs.symlinkSync('a', file))],
  ['is a directory', (file) => replaced(file, () => fs.mkdirSync(file))],
  ['is a fifo', (file) => replaced(file, () => execFileSync('mkfifo', [file]))],
  ['ends in a hole', (file) => fs.truncateSync(file, 100_000)],
  ['has an attribute', (file) => execFileSync('setfattr', ['-n', 'user.x', '-v', 'y', file])],
];

for (const [what, change] of CHANGES) {
  test(`a file that ${what} after it was listed`, async (t) => {
    const folder = scratch(t);
    for (const name of ['a', 'b', 'm', 'y', 'z']) {
      fs.writeFileSync(path.join(folder, name), `content of ${name}`);
    }
    const parcel = parcelOf(folder);
    change(path.join(folder, 'm'));
    const roomy = { ...parcel, contentBytes: 200_000 };
    const { inCalls } = await both(t, [roomy], { frames: FRAMES });
    t.is(inCalls, 4, 'all others are read by the call for many');
  });
}

test('files that all need a decision are not opened twice each', async (t) => {
  const folder = scratch(t);
  const files = Array.from({ length: 400 }, (_, index) => path.join(folder, `f${index}`));
  for (const file of files) fs.writeFileSync(file, file);
  execFileSync('setfattr', ['-n', 'user.x', '-v', 'y', ...files]);
  const { calls, inCalls } = await both(t, [parcelOf(folder)]);
  t.is(inCalls, 0);
  t.true(calls < 20);
});

test('the call takes no argument that is not whole', (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'a.txt'), 'a content');
  const fd = native.openDirectory(Buffer.from(folder));
  t.teardown(() => native.close(fd));
  const listing = native.listDirectory(Buffer.from(folder));
  const call = (
    numbers: Record<number, number>,
    more: { table?: number; key?: number; places?: number; room?: number; out?: number } = {},
  ): number => {
    const cursor = new Float64Array(GatherCursor.numbers);
    cursor[GatherCursor.end] = listing.length;
    for (const [index, number] of Object.entries(numbers)) cursor[Number(index)] = number;
    native.readFiles(
      fd,
      Buffer.from(listing),
      Buffer.alloc(more.room ?? 9),
      Buffer.alloc(32),
      Buffer.alloc(more.out ?? listing.length + 32),
      new Uint8Array(more.places ?? 17),
      new Uint8Array(new SharedArrayBuffer(more.table ?? 64)),
      Buffer.alloc(more.key ?? 0),
      Buffer.alloc(0),
      new Uint8Array(cursor.buffer),
    );
    return cursor[GatherCursor.files]!;
  };
  t.is(call({}), 1);
  for (const index of [0, 1, 2, 3, 4]) {
    for (const number of [NaN, -1, Infinity, 2 ** 60]) {
      t.throws(() => call({ [index]: number }), { code: 'EINVAL' }, `${index}: ${number}`);
    }
  }
  for (const table of [0, 32, 96 + 32, 65]) {
    t.throws(() => call({}, { table }), { code: 'EINVAL' }, `a table of ${table} bytes`);
  }
  t.throws(() => call({}, { key: 31 }), { code: 'EINVAL' });
  const short = [{ room: 8 }, { places: 16 }, { out: listing.length + 31 }];
  for (const more of short) t.is(call({}, more), 0, JSON.stringify(more));
  for (const index of [0, 2, 3, 4]) t.is(call({ [index]: 1 }), 0, `number ${index}`);
});

test('a file that changed a moment ago is read again next time, others are not', async (t) => {
  const folder = scratch(t);
  for (const name of ['a', 'b']) fs.writeFileSync(path.join(folder, name), name);
  const { hashed, inCalls } = await both(t, [parcelOf(folder)], { isNow: true });
  t.is(inCalls, 2);
  const flags = entriesOf(hashed.rows).map((entry) => entry.flags & RowFlag.unsettled);
  t.deepEqual(flags, [RowFlag.unsettled, RowFlag.unsettled]);
  const later = await both(t, [parcelOf(folder)]);
  t.is(new RowReader(later.hashed.rows).flags(0) & RowFlag.unsettled, 0);
});
