// Pace: slow
/** Decoding of stored records: their bytes and digests, and the errors of damaged ones. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type DecodeInput, RecordDecoder, SpareMemory } from '../../src/contents/index.js';
import { asTardisError, TardisError } from '../../src/errors/index.js';
import { Codec, type CodecNumber, RecordCipher } from '../../src/store/index.js';
import { type ContentKeys, Scheme } from '../../src/model/index.js';
import { CONTENT_ROW_BYTES, nodeSystem } from '../../src/system/index.js';
import { chunkedRecord, contentRecord, frameRecord, sliced } from '../helpers/records.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { sha256 } from '../helpers/rows.js';
import { noise, text } from '../helpers/tree.js';

const AT_ONCE = 2;
const system = nodeSystem();

/** A record, and the contents that were put into it. */
interface Stored {
  readonly record: Buffer;
  readonly parts: readonly Buffer[];
}

/** A directory of a client with one object. */
class Lab {
  readonly home: string;

  constructor(t: ExecutionContext) {
    this.home = scratchInMemory(t);
    fs.mkdirSync(path.join(this.home, 'packs'));
  }

  /** Writes a record behind other bytes; returns what decodes it. */
  input(record: Buffer, object = 'packs/1'): DecodeInput {
    fs.writeFileSync(path.join(this.home, object), Buffer.concat([Buffer.alloc(100), record]));
    const directory = { path: this.home, client: 'me', catalogPath: '' };
    return { source: { directory }, record: { object, position: 100, recordBytes: record.length } };
  }
}

/** Returns the input for a record whose bytes are in memory. */
function inMemory(input: DecodeInput, record: Buffer): DecodeInput {
  const stored = Buffer.allocUnsafeSlow(record.length);
  record.copy(stored);
  return { ...input, source: { stored } };
}

/** Returns the row of a content: its digest, and its place. */
function rowOf(content: Buffer, offset: number): Buffer {
  const row = Buffer.alloc(CONTENT_ROW_BYTES);
  sha256(content).copy(row);
  row.writeUInt32LE(offset, 32);
  row.writeUInt32LE(content.length, 36);
  return row;
}

function recordsOf(codec: CodecNumber): Stored[] {
  const compression = { codec, level: 1 };
  const parts = [text(1, 5000), Buffer.alloc(0), text(2, 70_000)];
  const { source, slices } = sliced(parts, 9);
  const content = text(3, 300_000);
  const [whole] = sliced([content]).slices;
  return [
    { record: frameRecord(source, slices, compression), parts },
    { record: contentRecord(content, whole!, compression), parts: [content] },
  ];
}

for (const codec of [Codec.none, Codec.zstd, Codec.zlib, Codec.snappy]) {
  test(`records of codec ${codec} are decoded to the bytes and digests that were put in`, async (t) => {
    const lab = new Lab(t);
    for (const { record, parts } of recordsOf(codec)) {
      const input = lab.input(record);
      const output = await new RecordDecoder(system, AT_ONCE).decode(input);
      t.true(output.isWhole);
      t.is(Buffer.compare(output.bytes, Buffer.concat(parts)), 0);
      let offset = 0;
      const rows = parts.map((part) => rowOf(part, (offset += part.length) - part.length));
      t.deepEqual(Buffer.from(output.digests), Buffer.concat(rows));
      t.deepEqual(await new RecordDecoder(system, AT_ONCE).decode(inMemory(input, record)), output);
    }
  });
}

for (const codec of [Codec.none, Codec.zstd, Codec.zlib, Codec.snappy]) {
  test(`each content of a record of codec ${codec} is decoded alone as with its record`, async (t) => {
    const lab = new Lab(t);
    for (const { record } of recordsOf(codec)) {
      const input = lab.input(record);
      const decoder = new RecordDecoder(system, AT_ONCE);
      for (const isInMemory of [false, true]) {
        const source = (): DecodeInput => (isInMemory ? inMemory(input, record) : input);
        const whole = await decoder.decode(source());
        for (let at = 0; at < whole.digests.length; at += CONTENT_ROW_BYTES) {
          const row = Buffer.from(whole.digests.subarray(at, at + CONTENT_ROW_BYTES));
          const [offset, sizeBytes] = [row.readUInt32LE(32), row.readUInt32LE(36)];
          const contents = [{ offset, sizeBytes }];
          const output = await decoder.decode({ ...source(), contents });
          t.is(Buffer.compare(output.bytes, whole.bytes.subarray(offset, offset + sizeBytes)), 0);
          t.deepEqual(Buffer.from(output.digests), row);
          t.is(output.startBytes, offset);
        }
        const wrong = { offset: 1, sizeBytes: 10 };
        const output = await decoder.decode({ ...source(), contents: [wrong] });
        t.is(output.startBytes, 0);
        t.is(Buffer.compare(output.bytes, whole.bytes), 0);
      }
    }
  });
}

test('a content that is decoded alone does not need the bytes behind it', async (t) => {
  const lab = new Lab(t);
  const { source, slices } = sliced([noise(1, 200_000), noise(2, 200_000)], 9);
  const record = frameRecord(source, slices, { codec: Codec.zstd, level: 1 });
  const decoder = new RecordDecoder(system, AT_ONCE);
  const sound = await decoder.decode(lab.input(record));
  record.subarray(-1000).fill(0);
  const input = lab.input(record, 'packs/2');
  await t.throwsAsync(async () => {
    const output = await decoder.decode(input);
    if (Buffer.from(output.digests).equals(sound.digests)) return;
    throw new TardisError('RECORD_DAMAGED', 'other digests');
  });
  const first = { offset: 0, sizeBytes: 200_000 };
  const output = await decoder.decode({ ...input, contents: [first] });
  t.is(Buffer.compare(output.bytes, source.subarray(0, 200_000)), 0);
});

test('of several contents, all between the first and the last one is decoded', async (t) => {
  const lab = new Lab(t);
  const parts = Array.from({ length: 6 }, (_none, number) => noise(number, 1000 + number));
  const { source, slices } = sliced(parts, 7);
  const input = lab.input(frameRecord(source, slices, { codec: Codec.zstd, level: 1 }));
  const decoder = new RecordDecoder(system, AT_ONCE);
  const whole = await decoder.decode(input);
  const rowAt = (at: number): Buffer =>
    Buffer.from(whole.digests.subarray(at * CONTENT_ROW_BYTES, (at + 1) * CONTENT_ROW_BYTES));
  const rows = [1, 3, 4].map(rowAt);
  const contents = rows.map((row) => ({
    offset: row.readUInt32LE(32),
    sizeBytes: row.readUInt32LE(36),
  }));
  const output = await decoder.decode({ ...input, contents });
  const [start, end] = [contents[0]!.offset, contents[2]!.offset + contents[2]!.sizeBytes];
  t.is(output.startBytes, start);
  t.deepEqual(Buffer.from(output.bytes), Buffer.from(whole.bytes.subarray(start, end)));
  t.deepEqual(Buffer.from(output.digests), Buffer.concat(rows));
  // If the record lacks one of them, all of it is decoded.
  const wrong = [contents[0]!, { offset: contents[1]!.offset, sizeBytes: 5 }];
  t.deepEqual(await decoder.decode({ ...input, contents: wrong }), whole);
});

test('a record that the end of its object cuts off is damage', async (t) => {
  const lab = new Lab(t);
  for (const bytes of [30, 1000, 40_000]) {
    const input = lab.input(recordsOf(Codec.zstd)[1]!.record);
    fs.truncateSync(path.join(lab.home, 'packs/1'), 100 + bytes);
    const decoding = new RecordDecoder(system, AT_ONCE).decode(input);
    await t.throwsAsync(decoding, { code: 'RECORD_DAMAGED' }, String(bytes));
  }
});

test('records with a long index, and those of a client that encrypts, are decoded', async (t) => {
  const lab = new Lab(t);
  const many = Array.from({ length: 400 }, (_none, number) => noise(number, 50));
  const { source, slices } = sliced(many);
  const long = lab.input(frameRecord(source, slices, { codec: Codec.zstd, level: 1 }));
  const inputs = [{ input: long, raw: source, content: { offset: 50, sizeBytes: 50 } }];
  for (const scheme of [Scheme.aes, Scheme.chaCha, Scheme.readable]) {
    const keys: ContentKeys = {
      scheme,
      epoch: 1,
      digests: Buffer.alloc(32, 1),
      contents: [{ epoch: 1, key: Buffer.alloc(32, 2) }],
    };
    const cipher = RecordCipher.fresh(system.native, keys);
    const { source: two, slices: parts } = sliced([text(1, 5000), text(2, 70_000)]);
    const how = { codec: Codec.zstd, level: 1 };
    const record = frameRecord(two, parts, how, cipher);
    const content = { offset: 5000, sizeBytes: 70_000 };
    inputs.push({ input: { ...lab.input(record, `packs/${scheme}`), keys }, raw: two, content });
  }
  const decoder = new RecordDecoder(system, AT_ONCE);
  for (const { input, raw, content } of inputs) {
    t.deepEqual((await decoder.decode(input)).bytes, raw);
    const alone = await decoder.decode({ ...input, contents: [content] });
    const { offset, sizeBytes } = content;
    t.deepEqual(Buffer.from(alone.bytes), raw.subarray(offset, offset + sizeBytes));
  }
});

test('memory that is given back is used again, and holds other bytes then', async (t) => {
  const lab = new Lab(t);
  const decoder = new RecordDecoder(system, AT_ONCE, new SpareMemory());
  const contents = [1, 2, 3].map((seed) => text(seed, 300_000));
  const blocks = new Set<ArrayBufferLike>();
  for (const content of contents) {
    const [whole] = sliced([content]).slices;
    const record = contentRecord(content, whole!, { codec: Codec.zstd, level: 1 });
    const output = await decoder.decode(lab.input(record));
    const bytes = output.bytes as Buffer;
    t.is(Buffer.compare(bytes, content), 0);
    blocks.add(bytes.buffer);
    decoder.reuse([bytes]);
  }
  t.is(blocks.size, 1);
});

test('a record in chunks is recognized', async (t) => {
  const lab = new Lab(t);
  const input = lab.input(chunkedRecord(text(1, 50_000), 10_000, Codec.zstd));
  t.false((await new RecordDecoder(system, AT_ONCE).decode(input)).isWhole);
});

test('each flipped byte of a record fails, or changes its digests', async (t) => {
  const lab = new Lab(t);
  const { source, slices } = sliced([text(1, 900), noise(2, 300)]);
  const record = frameRecord(source, slices, { codec: Codec.zstd, level: 1 });
  const decoder = new RecordDecoder(system, AT_ONCE);
  for (let at = 0; at < record.length; at += 7) {
    const damaged = Buffer.from(record);
    damaged[at]! ^= 0x10;
    const input = lab.input(damaged);
    for (const contents of [undefined, [{ offset: 900, sizeBytes: 300 }]]) {
      const output = await decoder.decode({ ...input, contents }).catch(asTardisError);
      if (output instanceof TardisError) continue;
      const bytes = Buffer.from(output.bytes);
      const rows = Buffer.from(output.digests);
      for (let row = 0; row < rows.length; row += CONTENT_ROW_BYTES) {
        const [start, sizeBytes] = [rows.readUInt32LE(row + 32), rows.readUInt32LE(row + 36)];
        const from = start - output.startBytes;
        const wanted = rowOf(bytes.subarray(from, from + sizeBytes), start);
        t.true(wanted.equals(rows.subarray(row, row + CONTENT_ROW_BYTES)), `byte ${at}`);
      }
    }
  }
});

test('a missing object is one that may have been moved', async (t) => {
  const lab = new Lab(t);
  const input = lab.input(recordsOf(Codec.zstd)[0]!.record);
  fs.rmSync(path.join(lab.home, 'packs/1'));
  const error = await t.throwsAsync(new RecordDecoder(system, AT_ONCE).decode(input));
  t.like(error, { code: 'RECORD_DAMAGED', context: { isGone: true } });
});

test('many records at once are decoded, each once it has its turn', async (t) => {
  const lab = new Lab(t);
  const inputs = Array.from({ length: 20 }, (_, n) => {
    const content = text(n, 10_000 + n);
    const compression = { codec: Codec.zstd, level: 1 };
    return lab.input(contentRecord(content, sliced([content]).slices[0]!, compression), `p${n}`);
  });
  const decoder = new RecordDecoder(system, AT_ONCE);
  const outputs = await Promise.all(inputs.map((input) => decoder.decode(input)));
  for (const [n, output] of outputs.entries()) {
    t.true(Buffer.from(output.bytes).equals(text(n, 10_000 + n)), String(n));
  }
});
