// Pace: slow
/** The jobs of a parcel: what one call reads, and what is decided entry by entry, gives the same rows and contents. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  BytesBuilder,
  type ContentKeys,
  RowFlag,
  RowReader,
  Scheme,
} from '../../src/model/index.js';
import {
  buildContent,
  buildFrame,
  Codec,
  decode,
  openBody,
  parseRecord,
  readContentIndex,
  readFrameIndex,
  RecordCipher,
  RecordKind,
} from '../../src/store/index.js';
import { type Clock, GatherCursor, nodeSystem } from '../../src/system/index.js';
import {
  type FrameOptions,
  type ReadInput,
  type ReadOutput,
  InlineJobs,
  type ParcelInput,
} from '../../src/workers/index.js';
import { FRAMES, foldersOf, parcelOf, systemWith } from '../helpers/jobs.js';
import { leavesAll } from '../support/leaves-all.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { entriesOf } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { dir, file, makeTree, text } from '../helpers/tree.js';

const { native } = nodeSystem();
/** A clock at which all files of these tests count as recently changed. */
const STARTED_MS = Date.now();
const NOW: Clock = { nowMs: () => STARTED_MS, monotonicMs: () => performance.now() };
const KEYS: ContentKeys = {
  scheme: Scheme.aes,
  epoch: 1,
  contents: [{ epoch: 1, key: randomBytes(32) }],
  digests: randomBytes(32),
};

type Options = Partial<Pick<ReadInput, 'frames' | 'rawRules' | 'keys' | 'crypt'>> & {
  /** True if the clock stands at the moment in which this test file began. */
  readonly isNow?: boolean;
};

interface Outcome {
  readonly output: unknown;
  readonly hashed: ReadOutput;
  /** Entries that needed a decision, and those that the addon read with attributes. */
  readonly undecided: number;
  readonly attributed: number;
}

/** Reads the parcels, one after another, by the call for many, or each entry by itself if `isEach`. */
async function read(
  parcels: readonly ParcelInput[],
  { isNow = false, frames, ...more }: Options,
  isEach: boolean,
): Promise<Outcome[]> {
  let [undecided, attributed] = [0, 0];
  const readParcel: typeof native.readParcel = (...values) => {
    void (isEach ? leavesAll(...values) : native.readParcel(...values));
    undecided = new Float64Array(values[9].buffer)[GatherCursor.undecided]!;
    attributed = new Float64Array(values[9].buffer)[GatherCursor.attributed]!;
  };
  const jobs = new InlineJobs(systemWith({ readParcel }, isNow ? NOW : undefined));
  const outcomes: Outcome[] = [];
  for (const parcel of parcels) {
    const { output } = await jobs.run('read', { parcel, frames, ...more });
    outcomes.push({ output: reported(output, more.keys), undecided, attributed, hashed: output });
  }
  return outcomes;
}

/** Returns the fields of an output, with the contents in the order of their digests, and without times. */
function reported(
  { contents, records, recordLengths, buildMs: _, ...output }: ReadOutput,
  keys: ContentKeys | undefined,
): unknown {
  const inRecords = contentsIn(records, recordLengths, keys);
  if (contents === undefined) return { ...output, inRecords };
  const { bytes, digests, starts, sizes, isRaw, kinds, schemes, access } = contents;
  const each = Array.from(starts, (start, index) => ({
    digest: Buffer.from(digests.subarray(32 * index, 32 * index + 32)).toString('hex'),
    bytes: Buffer.from(bytes.subarray(start, start + sizes[index]!)),
    facts: [isRaw[index], kinds[index], schemes[index], ...access.slice(3 * index, 3 * index + 3)],
  }));
  const inOrder = each.sort((a, b) => (a.digest < b.digest ? -1 : 1));
  return { ...output, inRecords, inOrder };
}

/** Returns the contents of records, in the order of their digests. */
function contentsIn(
  records: Uint8Array | undefined,
  recordLengths: readonly number[],
  keys: ContentKeys | undefined,
): string[] {
  let end = 0;
  const found = recordLengths.flatMap((length) => {
    const record = Buffer.from(records!.subarray(end, end + length));
    end += length;
    const { header, index } = parseRecord(record);
    const cipher = keys && new RecordCipher(native, keys, header);
    const raw = Buffer.alloc(header.rawBytes);
    decode(header.codec, openBody(record, header, cipher), raw);
    const isFrame = header.kind === RecordKind.frame;
    const entries = isFrame
      ? readFrameIndex(header, index)
      : [{ ...readContentIndex(index), offset: 0 }];
    return entries.map(({ digest, offset, sizeBytes }) => {
      const content = raw.subarray(offset, offset + sizeBytes).toString('base64');
      return `${digest.toString('hex')} scheme ${header.scheme} ${content}`;
    });
  });
  if (end !== (records?.length ?? 0)) throw new Error('bytes of no record');
  return found.sort();
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
  return many.at(-1)!;
}

const PLAIN: FrameOptions['compression'] = { codec: Codec.none, level: 0 };

const OPTIONS: readonly (readonly [what: string, options: Options])[] = [
  ['contents', {}],
  ['contents of a moment ago', { isNow: true }],
  ['keyed contents, with schemes', { keys: KEYS, crypt: { file: undefined, otherwise: 'chacha' } }],
  ['records', { frames: FRAMES }],
  ['records by AES', { frames: FRAMES, keys: KEYS }],
  ['records by ChaCha20', { frames: FRAMES, keys: { ...KEYS, scheme: Scheme.chaCha } }],
  [
    'records with schemes',
    { frames: FRAMES, keys: KEYS, crypt: { file: undefined, otherwise: 'none' } },
  ],
  ['readable records', { frames: FRAMES, keys: { ...KEYS, scheme: Scheme.readable } }],
  ['plain records', { frames: { ...FRAMES, compression: PLAIN } }],
  ['records by zlib', { frames: { ...FRAMES, compression: { codec: Codec.zlib, level: 6 } } }],
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
    const rows = entriesOf(parcel.rows).length;
    t.true(many.undecided <= rows - PLAIN_FILES.length);
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
  const { hashed, undecided } = await both(t, [parcelOf(folder)], { rawRules });
  t.is(undecided, 0);
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
    const { undecided } = await both(t, [roomy], { frames: FRAMES });
    t.is(undecided, 1, 'all others are read by the call for many');
  });
}

test('files with attributes are read by the call for many', async (t) => {
  const folder = scratch(t);
  const files = Array.from({ length: 400 }, (_, index) => path.join(folder, `f${index}`));
  for (const file of files) fs.writeFileSync(file, file);
  execFileSync('setfattr', ['-n', 'user.x', '-v', 'y', ...files]);
  const { undecided, attributed, hashed } = await both(t, [parcelOf(folder)]);
  t.deepEqual([undecided, attributed], [0, 400]);
  t.true(entriesOf(hashed.rows).every(({ flags }) => (flags & RowFlag.hasAttributes) !== 0));
});

test('a directory that is replaced while its files are read takes only its own files', async (t) => {
  const home = path.join(scratch(t), 'tree');
  const folders = ['1', '2', '3'].map((name) => path.join(home, name));
  makeTree(
    home,
    ['1', '2', '3'].map((name) => dir(name, [file('a', `a of ${name}`), file('b', name)])),
  );
  fs.truncateSync(path.join(home, '2', 'a'), 1 << 20); // a file with a hole needs a decision
  const readParcel: typeof native.readParcel = (...values) => {
    void native.readParcel(...values);
    fs.renameSync(folders[1]!, path.join(home, 'gone'));
  };
  const jobs = new InlineJobs(systemWith({ readParcel }));
  const parcel = parcelOf(...folders);
  const { output } = await jobs.run('read', { parcel, frames: undefined });
  const names = entriesOf(output.rows).map(({ name }) => name.toString());
  t.deepEqual(names, ['a', 'b', 'b', 'a', 'b']);
  t.is(output.rowEnds.length, 3);
  t.deepEqual(
    output.failures.map(({ slot, what }) => [slot, what]),
    [[11, 'vanished']],
  );
});

test('wanted contents become records, in memory of their size', async (t) => {
  const folder = path.join(scratch(t), 'tree');
  makeTree(folder, [...PLAIN_FILES, file('large', text(5, 20_000)), file('x.zip', text(6, 900))]);
  for (const keys of [undefined, KEYS]) {
    const jobs = new InlineJobs(systemWith());
    const parcel = parcelOf(folder);
    const { contents } = (await jobs.run('read', { parcel, frames: undefined, keys })).output;
    const wanted = Uint8Array.from(contents!.starts, (_start, index) => (index % 3 === 0 ? 0 : 1));
    const digests = Array.from(wanted, (_, index) =>
      Buffer.from(contents!.digests.subarray(32 * index, 32 * index + 32)).toString('hex'),
    );
    const input = { contents: contents!, wanted, frames: FRAMES, keys };
    const { records, recordLengths } = (await jobs.run('build', input)).output;
    t.is(records.buffer.byteLength, records.length);
    t.deepEqual(
      contentsIn(records, recordLengths, keys).map((content) => content.slice(0, 64)),
      digests.filter((_, index) => wanted[index] === 1).sort(),
    );
  }
});

test('the records are those that the store builds', async (t) => {
  const folder = path.join(scratch(t), 'tree');
  makeTree(folder, [...PLAIN_FILES, file('large', text(5, 20_000)), file('x.zip', text(6, 900))]);
  const jobs = new InlineJobs(systemWith());
  const { contents } = (await jobs.run('read', { parcel: parcelOf(folder), frames: undefined }))
    .output;
  const wanted = new Uint8Array(contents!.starts.length).fill(1);
  const input = { contents: contents!, wanted, frames: FRAMES };
  const { records, recordLengths } = (await jobs.run('build', input)).output;
  const target = new BytesBuilder(1 << 16);
  let end = 0;
  for (const length of recordLengths) {
    const { header, index } = parseRecord(Buffer.from(records.subarray(end, end + length)));
    const isFrame = header.kind === RecordKind.frame;
    const entries = isFrame ? readFrameIndex(header, index) : [readContentIndex(index)];
    const slices = entries.map(({ digest, sizeBytes }) => {
      const at = Buffer.from(contents!.digests).indexOf(digest) / 32;
      return { digest, start: contents!.starts[at]!, sizeBytes };
    });
    const isRaw = contents!.isRaw[contents!.starts.indexOf(slices[0]!.start)] === 1;
    const means = { compression: isRaw ? PLAIN : FRAMES.compression, target };
    const bytes = Buffer.from(contents!.bytes);
    if (isFrame) buildFrame(bytes, slices, means);
    else buildContent(bytes, slices[0]!, means);
    end += length;
  }
  t.true(target.view().equals(records));
});

test('a file that changed a moment ago is read again next time, others are not', async (t) => {
  const folder = scratch(t);
  for (const name of ['a', 'b']) fs.writeFileSync(path.join(folder, name), name);
  const { hashed, undecided } = await both(t, [parcelOf(folder)], { isNow: true });
  t.is(undecided, 0);
  const flags = entriesOf(hashed.rows).map((entry) => entry.flags & RowFlag.unsettled);
  t.deepEqual(flags, [RowFlag.unsettled, RowFlag.unsettled]);
  const later = await both(t, [parcelOf(folder)]);
  t.is(new RowReader(later.hashed.rows).flags(0) & RowFlag.unsettled, 0);
});
