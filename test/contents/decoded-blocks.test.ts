/** How often records are decoded, with a decoder that counts. */
import test from 'ava';
import { OpenContent, type StoredPiece, DecodedBlocks } from '../../src/contents/index.js';
import { DIGEST_BYTES, releaseAll } from '../../src/model/index.js';
import {
  type ClientDirectory,
  Codec,
  RECORD_HEADER_BYTES,
  RecordKind,
  writeHeader,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';

const RAW_BYTES = 1 << 20;
const BODY_BYTES = 1000;
const RECORD_BYTES = RECORD_HEADER_BYTES + BODY_BYTES;
const CONTENT_BYTES = RAW_BYTES / 2;
/** More records than are kept at once. */
const RECORDS = 40;

/** Returns one of the two contents of a record. */
function pieceOf(record: number, half: 0 | 1 = 0): StoredPiece {
  return {
    object: 'packs/1',
    position: record * RECORD_BYTES,
    recordBytes: RECORD_BYTES,
    digest: Buffer.alloc(DIGEST_BYTES),
    sizeBytes: CONTENT_BYTES,
    offset: half * CONTENT_BYTES,
  };
}

function packOf(records: number): Buffer {
  const pack = Buffer.alloc(records * RECORD_BYTES);
  for (let record = 0; record < records; record += 1) {
    writeHeader(pack, record * RECORD_BYTES, {
      kind: RecordKind.frame,
      codec: Codec.none,
      rawBytes: RAW_BYTES,
      bodyBytes: BODY_BYTES,
      indexBytes: 0,
      bodyChecksum: 0,
      flags: 0,
    });
  }
  return pack;
}

function digestRows(): Buffer {
  const rowBytes = DIGEST_BYTES + 8;
  const rows = Buffer.alloc(2 * rowBytes);
  for (const half of [0, 1]) {
    rows.writeUInt32LE(half * CONTENT_BYTES, half * rowBytes + DIGEST_BYTES);
    rows.writeUInt32LE(CONTENT_BYTES, half * rowBytes + DIGEST_BYTES + 4);
  }
  return rows;
}

class Lab {
  /** Numbers of the records, in the order in which they are decoded. */
  readonly decoded: number[] = [];
  /** Numbers of the records of which one content was decoded alone. */
  readonly alone: number[] = [];
  readonly blocks: DecodedBlocks;

  constructor() {
    const pack = packOf(RECORDS);
    const backend = {
      read: async (_name: string, position: number, target: Uint8Array, bytes: number) =>
        pack.copy(target, 0, position, position + bytes),
      close: () => undefined,
    };
    const decoder: ConstructorParameters<typeof DecodedBlocks>[1] = {
      decode: async ({ record, contents }) => {
        this.decoded.push(record.position / RECORD_BYTES);
        const content = contents?.[0];
        if (content !== undefined) this.alone.push(record.position / RECORD_BYTES);
        const bytes = Buffer.allocUnsafeSlow(content?.sizeBytes ?? RAW_BYTES);
        const startBytes = content?.offset ?? 0;
        return { isWhole: true, bytes, startBytes, digests: digestRows() };
      },
      reuse: releaseAll,
    };
    const source = { backend, native: nodeSystem().native, keys: undefined };
    this.blocks = new DecodedBlocks(source, decoder, {} as ClientDirectory);
  }

  /** Reads one content to its end, or a part of it. */
  async read(piece: StoredPiece, isToEnd = true): Promise<void> {
    const block = await this.blocks.whole(piece);
    if (isToEnd && block !== undefined) this.blocks.noteRead(piece, block);
    await new Promise(setImmediate);
  }
}

test('a record is decoded once for all that wait for it', async (t) => {
  const lab = new Lab();
  await Promise.all(Array.from({ length: 8 }, () => lab.read(pieceOf(3))));
  t.deepEqual(lab.decoded, [3]);
});

test('records that were read to their ends leave before those that readers are in', async (t) => {
  const lab = new Lab();
  const isHalfRead = [39, 37, 35, 33]; // backwards, which is no walk
  for (const record of isHalfRead) await lab.read(pieceOf(record));
  for (let record = 31; record > 0; record -= 1) {
    await lab.read(pieceOf(record, 0));
    await lab.read(pieceOf(record, 1));
  }
  for (const record of isHalfRead) await lab.read(pieceOf(record, 1));
  const counts = isHalfRead.map((record) => lab.decoded.filter((one) => one === record).length);
  t.deepEqual(counts, [1, 1, 1, 1]);
});

test('what is kept has a bound, whatever is read', async (t) => {
  const lab = new Lab();
  for (let record = RECORDS - 1; record >= 0; record -= 1) await lab.read(pieceOf(record), false);
  const kept = Array.from({ length: RECORDS }, (_, record) => record).filter((record) =>
    lab.blocks.has(pieceOf(record)),
  );
  t.true(kept.length <= 12, `${kept.length} of ${RECORDS} records`);
  t.true(kept.includes(0), 'the last one is kept');
});

test('a walk decodes no record ahead that was decoded before', async (t) => {
  const lab = new Lab();
  for (let record = RECORDS - 1; record >= 0; record -= 1) await lab.read(pieceOf(record), false);
  t.false(lab.blocks.has(pieceOf(30)));
  const before = lab.decoded.length;
  await lab.read(pieceOf(27));
  await lab.read(pieceOf(28));
  await new Promise(setImmediate);
  t.deepEqual(lab.decoded.slice(before), [27, 28]);
});

test('a content without neighbours is decoded alone; a second one of its record, with the record', async (t) => {
  const lab = new Lab();
  const { blocks } = lab;
  const first = await blocks.holding(pieceOf(9, 1), true);
  t.is(first?.startBytes, CONTENT_BYTES);
  t.is(first?.bytes.length, CONTENT_BYTES);
  t.is(await blocks.holding(pieceOf(9, 1), true), first, 'it is kept');
  t.deepEqual([lab.decoded, lab.alone], [[9], [9]]);
  const whole = await blocks.holding(pieceOf(9, 0), true);
  t.is(whole?.bytes.length, RAW_BYTES);
  t.deepEqual([lab.decoded, lab.alone], [[9, 9], [9]]);
  t.is(await blocks.holding(pieceOf(9, 1), true), whole, 'the record has it too');
  await blocks.holding(pieceOf(4, 0), false);
  t.deepEqual(lab.alone, [9]);
});

test('a content is decoded alone once for all that wait for it, also ahead', async (t) => {
  const lab = new Lab();
  lab.blocks.prefetchHolding(pieceOf(9), true);
  const all = await Promise.all([1, 2, 3].map(async () => lab.blocks.holding(pieceOf(9), true)));
  t.is(new Set(all).size, 1);
  t.deepEqual([lab.decoded, lab.alone], [[9], [9]]);
});

test('a record of an impossible length is not decoded ahead, and its reader gets the error', async (t) => {
  const lab = new Lab();
  const piece = { ...pieceOf(9), recordBytes: (16 << 20) + 1 };
  for (const isLone of [false, true]) {
    t.true(lab.blocks.prefetchHolding(piece, isLone), 'the files after it are decoded ahead');
    const reading = async () => lab.blocks.holding(piece, isLone);
    await t.throwsAsync(reading, { code: 'RECORD_DAMAGED' });
  }
  t.deepEqual(lab.decoded, []);
});

test('a large record that is not at its place ends no look ahead, and its reader gets the error', async (t) => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): unknown => unhandled.push(error);
  process.on('unhandledRejection', note);
  t.teardown(() => process.off('unhandledRejection', note));
  const { blocks } = new Lab();
  const how = { isSparse: false, isLone: false };
  const content = await OpenContent.open([{ ...pieceOf(9), recordBytes: 1 << 20 }], how, blocks);
  t.true(content.prefetch());
  await new Promise(setImmediate);
  t.deepEqual(unhandled, []);
  await t.throwsAsync(async () => content.read(0, 10), { code: 'RECORD_DAMAGED' });
});
