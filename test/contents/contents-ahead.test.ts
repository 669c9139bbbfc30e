/** Contents that are decoded ahead of a stream. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ContentsAhead } from '../../src/contents/index.js';
import { asTardisError } from '../../src/errors/index.js';
import type { ContentPiece, History } from '../../src/history/index.js';
import { Codec } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { frameRecord, sliced } from '../helpers/records.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';

/** Records that are decoded ahead (AHEAD of src/contents/contents-ahead.ts). */
const AHEAD = 3;
const CONTENTS = 4;
const BYTES = 1000;

/** A pack with records of four contents each, and what is decoded of them. */
class Lab {
  readonly reads: ContentsAhead;
  /** Number of contents that were decoded without the rest of their records, and of whole records. */
  alone = 0;
  whole = 0;
  /** Number of decodings that have begun and not ended. */
  running = 0;
  private readonly file: string;
  private readonly pieces: ContentPiece[][] = [];

  constructor(t: ExecutionContext, records: number, isRemote = false, size = BYTES) {
    const home = scratchInMemory(t);
    fs.mkdirSync(path.join(home, 'packs'));
    this.file = path.join(home, 'packs/1');
    const made: Buffer[] = [];
    let position = 0;
    for (let record = 0; record < records; record += 1) {
      const contents = Array.from({ length: CONTENTS }, (_, at) => contentOf(record, at, size));
      const { source, slices } = sliced(contents);
      const bytes = frameRecord(source, slices, { codec: Codec.zstd, level: 1 });
      const place = { object: 'packs/1', position, recordBytes: bytes.length };
      this.pieces.push(
        slices.map(
          ({ digest, start, sizeBytes }) =>
            ({ ...place, digest, sizeBytes, offset: start }) as unknown as ContentPiece,
        ),
      );
      made.push(bytes);
      position += bytes.length;
    }
    fs.writeFileSync(this.file, Buffer.concat(made));
    const directory = isRemote ? undefined : { path: home, client: 'me', catalogPath: '' };
    const history = { directory, contentKeys: undefined } as unknown as History;
    const read = async (_name: string, from: number, target: Uint8Array, bytes: number) => {
      target.set(fs.readFileSync(this.file).subarray(from, from + bytes));
      return bytes;
    };
    this.reads = new ContentsAhead(this.system(), history, { read, close: () => undefined });
  }

  private system(): System {
    const system = nodeSystem();
    const { native } = system;
    const counting = Object.create(native, {
      decodePartAsync: {
        value: (...words: Parameters<typeof native.decodePartAsync>) => {
          this.alone += 1;
          return this.counted(native.decodePartAsync(...words));
        },
      },
      decodeAsync: {
        value: (...words: Parameters<typeof native.decodeAsync>) => {
          this.whole += 1;
          return this.counted(native.decodeAsync(...words));
        },
      },
      decodeStoredAsync: {
        value: (...words: Parameters<typeof native.decodeStoredAsync>) => {
          const isAlone = Buffer.from(words[4]).readDoubleLE(16) >= 0;
          this[isAlone ? 'alone' : 'whole'] += 1;
          return this.counted(native.decodeStoredAsync(...words));
        },
      },
    }) as typeof native;
    return { ...system, native: counting };
  }

  private async counted<T>(decoding: Promise<T>): Promise<T> {
    this.running += 1;
    try {
      return await decoding;
    } finally {
      this.running -= 1;
    }
  }

  piece(record: number, at = 0): ContentPiece {
    return this.pieces[record]![at]!;
  }

  plan(...pieces: readonly ContentPiece[]): void {
    this.reads.plan(pieces.map((piece) => [piece]));
  }

  /** Changes a byte of a record, counted from its end. */
  damage(record: number, fromEnd: number): void {
    const { position, recordBytes } = this.piece(record);
    const bytes = fs.readFileSync(this.file);
    bytes[position + recordBytes - fromEnd]! ^= 0x40;
    fs.writeFileSync(this.file, bytes);
  }
}

/** Returns noise, with zeros behind it if it is to be larger. */
function contentOf(record: number, at: number, bytes = BYTES): Buffer {
  const content = Buffer.alloc(bytes);
  content.set(noise(record * CONTENTS + at, BYTES));
  return content;
}

for (const isRemote of [false, true]) {
  const where = isRemote ? 'on a server' : 'of a directory';
  test(`a record is decoded once, and no further than its only content: ${where}`, async (t) => {
    const lab = new Lab(t, 3, isRemote);
    lab.plan(lab.piece(0, 2), lab.piece(1), lab.piece(2, 3), lab.piece(1, 3));
    t.deepEqual(await lab.reads.take(lab.piece(0, 2)), contentOf(0, 2));
    t.deepEqual(await lab.reads.take(lab.piece(1)), contentOf(1, 0));
    t.deepEqual(await lab.reads.take(lab.piece(2, 3)), contentOf(2, 3));
    t.deepEqual(await lab.reads.take(lab.piece(1, 3)), contentOf(1, 3));
    t.deepEqual([lab.alone, lab.whole], [2, 1]);
    lab.reads.close();
  });
}

test('contents in several pieces, deltas and large records are not planned', async (t) => {
  const lab = new Lab(t, 4);
  const [one, other, basis, large] = [0, 1, 2, 3].map((record) => lab.piece(record)) as [
    ContentPiece,
    ContentPiece,
    ContentPiece,
    ContentPiece,
  ];
  const delta = { ...basis, basis: [] };
  const huge = { ...large, recordBytes: 2 << 20 };
  lab.reads.plan([[one, other], [delta], [huge], []]);
  for (const piece of [one, other, delta, huge]) t.is(await lab.reads.take(piece), undefined);
  t.deepEqual([lab.alone, lab.whole], [0, 0]);
});

test('a few records are decoded ahead, and each once', async (t) => {
  const lab = new Lab(t, 12);
  const all = Array.from({ length: 12 }, (_, record) => [lab.piece(record), lab.piece(record, 1)]);
  lab.plan(...all.flat());
  t.is(lab.whole, 0);
  await lab.reads.take(all[0]![0]!);
  // Once these have ended, nothing keeps another one from beginning.
  await until(() => lab.whole > AHEAD && lab.running === 0);
  t.is(lab.whole, 1 + AHEAD);
  for (const piece of all.flat()) t.is((await lab.reads.take(piece))!.length, BYTES);
  t.is(lab.whole, 12);
});

test('a record of which little is needed is decoded only in part, and its memory is not kept', async (t) => {
  const size = 1 << 18;
  const lab = new Lab(t, 20, false, size);
  const all = Array.from({ length: 20 }, (_, record) => [lab.piece(record), lab.piece(record, 3)]);
  lab.plan(...all.map(([first]) => first!));
  for (const [record, [first]] of all.entries()) {
    t.deepEqual(await lab.reads.take(first!), contentOf(record, 0, size));
  }
  for (const [record, [first]] of all.entries()) {
    t.deepEqual(await lab.reads.take(first!), contentOf(record, 0, size));
  }
  t.deepEqual([lab.alone, lab.whole], [20, 0]);
});

test('a record that the next plan has too is not decoded again', async (t) => {
  const lab = new Lab(t, 3);
  lab.plan(lab.piece(0), lab.piece(0, 1), lab.piece(1), lab.piece(1, 1));
  for (const record of [0, 1]) await lab.reads.take(lab.piece(record));
  lab.plan(lab.piece(1, 2), lab.piece(0, 2), lab.piece(2, 0));
  for (const [record, at] of [
    [0, 2],
    [1, 2],
    [2, 0],
  ] as const) {
    t.deepEqual(await lab.reads.take(lab.piece(record, at)), contentOf(record, at));
  }
  t.deepEqual([lab.alone, lab.whole], [1, 2]);
});

test('a plan that is dropped leaves nothing, and what nothing takes fails nothing', async (t) => {
  const lab = new Lab(t, 5);
  for (const record of [1, 2, 3]) lab.damage(record, 20);
  lab.plan(...[0, 1, 2, 3].flatMap((record) => [lab.piece(record), lab.piece(record, 1)]));
  await lab.reads.take(lab.piece(0));
  lab.plan(lab.piece(4));
  t.is(await lab.reads.take(lab.piece(0)), undefined);
  t.deepEqual(await lab.reads.take(lab.piece(4)), contentOf(4, 0));
});

test('decoded records take little memory: those used long ago are decoded again', async (t) => {
  const size = 1 << 18; // 20 records of 1 MiB
  const lab = new Lab(t, 20, false, size);
  const all = Array.from({ length: 20 }, (_, record) => [lab.piece(record), lab.piece(record, 1)]);
  lab.plan(...all.flat());
  for (const [first] of all) await lab.reads.take(first!);
  t.is(lab.whole, 20);
  t.deepEqual(await lab.reads.take(all[19]![1]!), contentOf(19, 1, size));
  t.is(lab.whole, 20);
  t.deepEqual(await lab.reads.take(all[0]![1]!), contentOf(0, 1, size));
  t.is(lab.whole, 21);
});

test('damage of a content is found, and damage behind it in its record harms no other one', async (t) => {
  const lab = new Lab(t, 2);
  for (const record of [0, 1]) lab.damage(record, 20);
  lab.plan(lab.piece(0, 0), lab.piece(1, CONTENTS - 1));
  t.deepEqual(await lab.reads.take(lab.piece(0)), contentOf(0, 0));
  const error: unknown = await lab.reads
    .take(lab.piece(1, CONTENTS - 1))
    .catch((why: unknown) => why);
  t.regex(asTardisError(error).code, /^(CONTENT|RECORD)_DAMAGED$/);
});

test('a content that its record does not have is left to who reads the record', async (t) => {
  const lab = new Lab(t, 2);
  const stranger = { ...lab.piece(0), offset: 5 };
  lab.plan(stranger, lab.piece(1));
  t.is(await lab.reads.take(stranger), undefined);
  const other = { ...lab.piece(1), digest: Buffer.alloc(32, 7) };
  lab.plan(other);
  await t.throwsAsync(() => lab.reads.take(other), { code: 'CONTENT_DAMAGED' });
});
