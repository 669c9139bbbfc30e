/** Contents that a stream decodes without the rest of their records. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError } from '../../src/errors/index.js';
import type { ContentPiece, History } from '../../src/history/index.js';
import { LoneReads } from '../../src/restore/index.js';
import { Codec } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { frameRecord, sliced } from '../helpers/records.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';

/** Contents that are decoded ahead (AHEAD of src/restore/lone-reads.ts). */
const AHEAD = 3;
const CONTENTS = 4;
const BYTES = 1000;

/** A pack with records of four contents each, and what is decoded alone of them. */
class Lab {
  readonly reads: LoneReads;
  /** Number of contents that were decoded alone. */
  decoded = 0;
  private readonly file: string;
  private readonly pieces: ContentPiece[][] = [];

  constructor(t: ExecutionContext, records: number, isFar = false) {
    const home = scratchInMemory(t);
    fs.mkdirSync(path.join(home, 'packs'));
    this.file = path.join(home, 'packs/1');
    const made: Buffer[] = [];
    let position = 0;
    for (let record = 0; record < records; record += 1) {
      const contents = Array.from({ length: CONTENTS }, (_, at) => contentOf(record, at));
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
    const directory = isFar ? undefined : { path: home, client: 'me', catalogPath: '' };
    const history = { directory, contentKeys: undefined } as unknown as History;
    const read = async (_name: string, from: number, target: Uint8Array, bytes: number) => {
      target.set(fs.readFileSync(this.file).subarray(from, from + bytes));
      return bytes;
    };
    this.reads = new LoneReads(this.system(), history, { read, close: () => undefined });
  }

  private system(): System {
    const system = nodeSystem();
    const { native } = system;
    const counting = Object.create(native, {
      decodePartAside: {
        value: (...words: Parameters<typeof native.decodePartAside>) => {
          this.decoded += 1;
          return native.decodePartAside(...words);
        },
      },
      decodeStoredAside: {
        value: (...words: Parameters<typeof native.decodeStoredAside>) => {
          this.decoded += Buffer.from(words[4]).readDoubleLE(16) >= 0 ? 1 : 0;
          return native.decodeStoredAside(...words);
        },
      },
    }) as typeof native;
    return { ...system, native: counting };
  }

  piece(record: number, at = 0): ContentPiece {
    return this.pieces[record]![at]!;
  }

  plan(...pieces: readonly ContentPiece[]): void {
    this.reads.plan(
      pieces.map((piece) => [piece]),
      () => false,
    );
  }

  /** Changes a byte of a record, counted from its end. */
  damage(record: number, fromEnd: number): void {
    const { position, recordBytes } = this.piece(record);
    const bytes = fs.readFileSync(this.file);
    bytes[position + recordBytes - fromEnd]! ^= 0x40;
    fs.writeFileSync(this.file, bytes);
  }
}

function contentOf(record: number, at: number): Buffer {
  return noise(record * CONTENTS + at, BYTES);
}

for (const isFar of [false, true]) {
  const where = isFar ? 'on a server' : 'of a directory';
  test(`a content whose record has no other one in the plan is decoded alone: ${where}`, async (t) => {
    const lab = new Lab(t, 3, isFar);
    lab.plan(lab.piece(0, 2), lab.piece(1), lab.piece(1, 3), lab.piece(2, 3));
    t.deepEqual(await lab.reads.take(lab.piece(0, 2)), contentOf(0, 2));
    t.is(await lab.reads.take(lab.piece(1)), undefined, 'its record is read as a whole');
    t.is(await lab.reads.take(lab.piece(1, 3)), undefined);
    t.deepEqual(await lab.reads.take(lab.piece(2, 3)), contentOf(2, 3));
    t.is(lab.decoded, 2);
  });
}

test('contents in several pieces, of deltas, of large records and of decoded ones are not lone', async (t) => {
  const lab = new Lab(t, 4);
  const [one, other, basis, large] = [0, 1, 2, 3].map((record) => lab.piece(record)) as [
    ContentPiece,
    ContentPiece,
    ContentPiece,
    ContentPiece,
  ];
  const delta = { ...basis, basis: [] };
  const huge = { ...large, recordBytes: 2 << 20 };
  lab.reads.plan([[one, other], [delta], [huge], []], () => false);
  for (const piece of [one, other, delta, huge]) t.is(await lab.reads.take(piece), undefined);
  lab.reads.plan([[one]], () => true);
  t.is(await lab.reads.take(one), undefined);
  t.is(lab.decoded, 0);
});

test('a few contents are decoded ahead, and each once', async (t) => {
  const lab = new Lab(t, 12);
  const all = Array.from({ length: 12 }, (_, record) => lab.piece(record));
  lab.plan(...all);
  t.is(lab.decoded, 0);
  await lab.reads.take(all[0]!);
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.true(lab.decoded <= 1 + AHEAD, `${lab.decoded}`);
  for (const piece of all.slice(1)) t.true((await lab.reads.take(piece))!.length === BYTES);
  t.is(lab.decoded, 12);
  t.is(await lab.reads.take(all[5]!), undefined, 'it was taken');
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
