/** `buildRecords` and `readParcel` take no argument that is not sound, and leave nothing outside of their buffers. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  GatherCursor,
  NO_BODY_CIPHER,
  WANTED_RECORD_BYTES,
  WantedRecord,
} from '../../src/system/index.js';
import { native } from '../helpers/native.js';
import { scratch } from '../helpers/scratch.js';
import { identityAt } from '../helpers/identities.js';

const bytesOf = (numbers: Uint32Array | Float64Array): Uint8Array => new Uint8Array(numbers.buffer);

type BuildArguments = Parameters<typeof native.buildRecords>;

/** Two contents of 100 bytes that become one frame. */
function frame(): Record<string, Uint8Array> {
  const wanted = Buffer.alloc(WANTED_RECORD_BYTES);
  wanted.writeUInt32LE(2, WantedRecord.count);
  wanted.writeUInt32LE(1, WantedRecord.kind);
  wanted.writeUInt32LE(1, WantedRecord.codec);
  wanted.writeUInt32LE(1, WantedRecord.level);
  wanted.writeUInt32LE(NO_BODY_CIPHER, WantedRecord.cipher);
  return {
    contents: Buffer.alloc(200, 'content '),
    digests: Buffer.alloc(64),
    starts: bytesOf(Uint32Array.of(0, 100)),
    sizes: bytesOf(Uint32Array.of(100, 100)),
    order: bytesOf(Uint32Array.of(1, 0)),
    wanted,
    target: Buffer.alloc(2000),
    lengths: bytesOf(new Uint32Array(1)),
    time: bytesOf(new Float64Array(1)),
  };
}

const build = (values: Record<string, Uint8Array>): number =>
  native.buildRecords(
    ...([...Object.values(values), false] as unknown as BuildArguments),
  ) as number;

test('makes a frame, and forgets how it was wanted', async (t) => {
  const values = frame();
  const end = build(values);
  t.is(Buffer.from(values['lengths']!).readUInt32LE(), end);
  t.true(end > 144 && end < 300);
  t.true(values['wanted']!.every((byte) => byte === 0));
});

/** Values that make the frame impossible. */
const IMPOSSIBLE: Readonly<Record<string, (values: Record<string, Uint8Array>) => void>> = {
  'a content that ends outside of the contents': (values) => {
    values['contents'] = Buffer.alloc(199);
  },
  'a content without a digest': (values) => {
    values['digests'] = Buffer.alloc(63);
  },
  'a content without a start': (values) => {
    values['starts'] = bytesOf(Uint32Array.of(0));
  },
  'a content without a size': (values) => {
    values['sizes'] = bytesOf(Uint32Array.of(100));
  },
  'a content that is not there': (values) => {
    values['order'] = bytesOf(Uint32Array.of(1, 0xffff_ffff));
  },
  'an order that is too short': (values) => {
    values['order'] = bytesOf(Uint32Array.of(1));
  },
  'a record of nothing': (values) => {
    Buffer.from(values['wanted']!.buffer).fill(0, WantedRecord.count, WantedRecord.count + 4);
  },
  'a frame of more contents than there can be': (values) => {
    values['wanted']!.fill(0xff, WantedRecord.count, WantedRecord.count + 4);
  },
  'a record of an unknown kind': (values) => {
    values['wanted']![WantedRecord.kind] = 3;
  },
  'one content of two': (values) => {
    values['wanted']![WantedRecord.kind] = 2;
  },
  'an unknown codec': (values) => {
    values['wanted']![WantedRecord.codec] = 2;
  },
  'an unknown cipher': (values) => {
    values['wanted']![WantedRecord.cipher] = 3;
  },
  'a target without room for the index': (values) => {
    values['target'] = Buffer.alloc(100);
  },
  'no room for the length': (values) => {
    values['lengths'] = Buffer.alloc(3);
  },
};

for (const [what, change] of Object.entries(IMPOSSIBLE)) {
  test(`refuses ${what}`, async (t) => {
    const values = frame();
    values['wanted'] = Uint8Array.from(values['wanted']!);
    change(values);
    t.throws(() => build(values), { code: 'EINVAL' });
    t.true(values['wanted'].every((byte) => byte === 0));
  });
}

test('refuses a target without room for the body', async (t) => {
  const values = { ...frame(), target: Buffer.alloc(150) };
  t.throws(() => build(values), { code: 'EZSTD' });
});

test('refuses a target without room for a body that is not compressed', async (t) => {
  const values: Record<string, Uint8Array> = { ...frame(), target: Buffer.alloc(72 + 72 + 199) };
  values['wanted']![WantedRecord.codec] = 0;
  t.throws(() => build(values), { code: 'EINVAL' });
});

test('refuses to note its time where there is no room for it', (t) => {
  t.throws(() => build({ ...frame(), time: Buffer.alloc(7) }), { code: 'EINVAL' });
});

/** Reads a parcel of one directory with one file, with changed arguments. Returns the cursor. */
function readParcel(
  t: ExecutionContext,
  change: {
    readonly pathEnds?: readonly number[];
    readonly rowEnds?: readonly number[];
    readonly outEnds?: number;
    readonly path?: Buffer;
    readonly identities?: Buffer;
    readonly numbers?: Readonly<Record<number, number>>;
    /** Sizes of buffers. */
    readonly sizes?: Partial<
      Record<'room' | 'places' | 'out' | 'table' | 'key' | 'undecided', number>
    >;
  },
): Float64Array {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'a'), 'a content');
  const rows = native.listDirectory(Buffer.from(folder));
  const at = change.path ?? Buffer.from(folder);
  const { room = 9, places = 17, out = rows.length + 32 } = change.sizes ?? {};
  const { table = 64, key = 0, undecided = 16 } = change.sizes ?? {};
  const cursor = new Float64Array(GatherCursor.numbers);
  for (const [index, number] of Object.entries(change.numbers ?? {})) {
    cursor[Number(index)] = number;
  }
  void native.readParcel(
    at,
    rows,
    Buffer.alloc(room),
    Buffer.alloc(32),
    Buffer.alloc(out),
    new Uint8Array(places),
    new Uint8Array(new SharedArrayBuffer(table)),
    Buffer.alloc(key),
    Buffer.alloc(0),
    bytesOf(cursor),
    bytesOf(Uint32Array.from(change.pathEnds ?? [at.length])),
    bytesOf(Uint32Array.from(change.rowEnds ?? [rows.length])),
    bytesOf(new Uint32Array(change.outEnds ?? 1)),
    change.identities ?? identityAt(folder),
    new Uint8Array(undecided),
    false,
  );
  return cursor;
}

test('reads a parcel of one directory', (t) => {
  const cursor = readParcel(t, {});
  t.is(cursor[GatherCursor.undecided], 0);
  t.is(cursor[GatherCursor.files], 1);
});

test('a directory that cannot be opened, or a file that does not fit, needs a decision', (t) => {
  const cases = [
    { path: Buffer.from('/nowhere') },
    { path: Buffer.from('/tmp\0x') },
    { path: Buffer.alloc(0) },
    { sizes: { room: 8 } },
    { sizes: { places: 16 } },
    { sizes: { out: 80 } },
    ...[0, 1, 2].map((index) => ({ numbers: { [index]: 100 } })),
  ];
  for (const change of cases) {
    const cursor = readParcel(t, change);
    t.is(cursor[GatherCursor.undecided], 1, JSON.stringify(change));
    t.is(cursor[GatherCursor.files], 0, JSON.stringify(change));
  }
});

function twice(identity: Buffer): Buffer {
  return Buffer.concat([identity, identity]);
}

test('refuses arguments that do not fit together', (t) => {
  const cases = [
    { pathEnds: [1_000_000] },
    { pathEnds: [] },
    { pathEnds: [1, 0], rowEnds: [0, 0], outEnds: 2, identities: twice(identityAt('/')) },
    { identities: Buffer.alloc(1) },
    { outEnds: 0 },
    { rowEnds: [17] },
    { rowEnds: [1_000_000] },
    { sizes: { key: 31 } },
    { path: Buffer.from('/nowhere'), sizes: { undecided: 11 } },
    ...[0, 32, 96 + 32, 65].map((table) => ({ sizes: { table } })),
    ...[0, 1, 2].flatMap((index) =>
      [NaN, -1, Infinity, 2 ** 60].map((number) => ({ numbers: { [index]: number } })),
    ),
  ];
  for (const change of cases) {
    t.throws(() => readParcel(t, change), { code: 'EINVAL' }, JSON.stringify(change));
  }
});
