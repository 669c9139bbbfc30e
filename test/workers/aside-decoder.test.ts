// Pace: slow
/** Decoding on threads of libuv's pool: it gives what a job gives, and the same errors. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { DecodeInput, Decoder } from '../../src/contents/index.js';
import { asTardisError, TardisError } from '../../src/errors/index.js';
import { Codec, type CodecNumber, RecordCipher } from '../../src/store/index.js';
import { type ContentKeys, Scheme } from '../../src/model/index.js';
import { CONTENT_ROW_BYTES, nodeSystem } from '../../src/system/index.js';
import { AsideDecoder, InlineJobs, SpareMemory } from '../../src/workers/index.js';
import { chunkedRecord, contentRecord, frameRecord, sliced } from '../helpers/records.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { noise, text } from '../helpers/tree.js';

const AT_ONCE = 2;
const system = nodeSystem();

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
    return {
      source: { directory },
      record: { object, position: 100, recordBytes: record.length },
    };
  }
}

function recordsOf(codec: CodecNumber): Buffer[] {
  const compression = { codec, level: 1 };
  const { source, slices } = sliced([text(1, 5000), Buffer.alloc(0), text(2, 70_000)], 9);
  const content = text(3, 300_000);
  const [whole] = sliced([content]).slices;
  return [frameRecord(source, slices, compression), contentRecord(content, whole!, compression)];
}

for (const codec of [Codec.none, Codec.zstd, Codec.zlib, Codec.snappy]) {
  test(`records of codec ${codec} are decoded as by a job`, async (t) => {
    const lab = new Lab(t);
    for (const record of recordsOf(codec)) {
      const input = lab.input(record);
      const { output } = await new AsideDecoder(system, AT_ONCE).run('decode', input);
      const wanted = await new InlineJobs(system).run('decode', input);
      t.deepEqual(output, wanted.output);
      t.true(output.isWhole && output.digests.length > 0);
      const stored = { ...input, source: { stored: Buffer.from(record) } };
      t.deepEqual((await new AsideDecoder(system, AT_ONCE).run('decode', stored)).output, output);
    }
  });
}

for (const codec of [Codec.none, Codec.zstd, Codec.zlib, Codec.snappy]) {
  test(`each content of a record of codec ${codec} is decoded alone as with its record`, async (t) => {
    const lab = new Lab(t);
    for (const record of recordsOf(codec)) {
      const input = lab.input(record);
      const decoders: Decoder[] = [new AsideDecoder(system, AT_ONCE), new InlineJobs(system)];
      for (const decoder of decoders) {
        const { output: whole } = await decoder.run('decode', input);
        for (let at = 0; at < whole.digests.length; at += CONTENT_ROW_BYTES) {
          const row = Buffer.from(whole.digests.subarray(at, at + CONTENT_ROW_BYTES));
          const [offset, sizeBytes] = [row.readUInt32LE(32), row.readUInt32LE(36)];
          const contents = [{ offset, sizeBytes }];
          const { output } = await decoder.run('decode', { ...input, contents });
          t.is(Buffer.compare(output.bytes, whole.bytes.subarray(offset, offset + sizeBytes)), 0);
          t.deepEqual(Buffer.from(output.digests), row);
          t.is(output.startBytes, offset);
        }
        const wrong = { offset: 1, sizeBytes: 10 };
        const { output } = await decoder.run('decode', { ...input, contents: [wrong] });
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
  const decoder = new AsideDecoder(system, AT_ONCE);
  const { output: sound } = await decoder.run('decode', lab.input(record));
  record.subarray(-1000).fill(0);
  const input = lab.input(record, 'packs/2');
  await t.throwsAsync(async () => {
    const { output } = await decoder.run('decode', input);
    if (Buffer.from(output.digests).equals(sound.digests)) return;
    throw new TardisError('RECORD_DAMAGED', 'other digests');
  });
  const first = { offset: 0, sizeBytes: 200_000 };
  const { output } = await decoder.run('decode', { ...input, contents: [first] });
  t.is(Buffer.compare(output.bytes, source.subarray(0, 200_000)), 0);
});

test('of several contents, all between the first and the last one is decoded', async (t) => {
  const lab = new Lab(t);
  const parts = Array.from({ length: 6 }, (_none, number) => noise(number, 1000 + number));
  const { source, slices } = sliced(parts, 7);
  const input = lab.input(frameRecord(source, slices, { codec: Codec.zstd, level: 1 }));
  const decoders: Decoder[] = [new AsideDecoder(system, AT_ONCE), new InlineJobs(system)];
  for (const decoder of decoders) {
    const { output: whole } = await decoder.run('decode', input);
    const rowAt = (at: number): Buffer =>
      Buffer.from(whole.digests.subarray(at * CONTENT_ROW_BYTES, (at + 1) * CONTENT_ROW_BYTES));
    const rows = [1, 3, 4].map(rowAt);
    const contents = rows.map((row) => ({
      offset: row.readUInt32LE(32),
      sizeBytes: row.readUInt32LE(36),
    }));
    const { output } = await decoder.run('decode', { ...input, contents });
    const [start, end] = [contents[0]!.offset, contents[2]!.offset + contents[2]!.sizeBytes];
    t.is(output.startBytes, start);
    t.deepEqual(Buffer.from(output.bytes), Buffer.from(whole.bytes.subarray(start, end)));
    t.deepEqual(Buffer.from(output.digests), Buffer.concat(rows));
    // If the record lacks one of them, all of it is decoded.
    const wrong = [contents[0]!, { offset: contents[1]!.offset, sizeBytes: 5 }];
    const all = await decoder.run('decode', { ...input, contents: wrong });
    t.deepEqual(all.output, whole);
  }
});

test('a record that the end of its object cuts off is damage, in each way to decode', async (t) => {
  const lab = new Lab(t);
  for (const bytes of [30, 1000, 40_000]) {
    const input = lab.input(recordsOf(Codec.zstd)[1]!);
    fs.truncateSync(path.join(lab.home, 'packs/1'), 100 + bytes);
    for (const one of [new AsideDecoder(system, AT_ONCE), new InlineJobs(system)]) {
      await t.throwsAsync(one.run('decode', input), { code: 'RECORD_DAMAGED' }, String(bytes));
    }
  }
});

test('records with a long index, and those of a client that encrypts, are decoded as by a job', async (t) => {
  const lab = new Lab(t);
  const many = Array.from({ length: 400 }, (_none, number) => noise(number, 50));
  const { source, slices } = sliced(many);
  const inputs = [lab.input(frameRecord(source, slices, { codec: Codec.zstd, level: 1 }))];
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
    inputs.push({ ...lab.input(record, `packs/${scheme}`), keys });
  }
  for (const input of inputs) {
    const { output } = await new AsideDecoder(system, AT_ONCE).run('decode', input);
    t.deepEqual(output, (await new InlineJobs(system).run('decode', input)).output);
    const contents = [{ offset: 50, sizeBytes: 50 }];
    const alone = await new AsideDecoder(system, AT_ONCE).run('decode', { ...input, contents });
    t.deepEqual(
      alone.output.bytes,
      (await new InlineJobs(system).run('decode', { ...input, contents })).output.bytes,
    );
  }
});

test('memory that is given back is used again, and holds other bytes then', async (t) => {
  const lab = new Lab(t);
  const decoder = new AsideDecoder(system, AT_ONCE, new SpareMemory());
  const contents = [1, 2, 3].map((seed) => text(seed, 300_000));
  const blocks = new Set<ArrayBufferLike>();
  for (const content of contents) {
    const [whole] = sliced([content]).slices;
    const record = contentRecord(content, whole!, { codec: Codec.zstd, level: 1 });
    const { output } = await decoder.run('decode', lab.input(record));
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
  t.false((await new AsideDecoder(system, AT_ONCE).run('decode', input)).output.isWhole);
});

test('each flipped byte of a record fails, or changes its digests, as in a job', async (t) => {
  const lab = new Lab(t);
  const { source, slices } = sliced([text(1, 900), noise(2, 300)]);
  const record = frameRecord(source, slices, { codec: Codec.zstd, level: 1 });
  const decoder = new AsideDecoder(system, AT_ONCE);
  const jobs = new InlineJobs(system);
  for (let at = 0; at < record.length; at += 7) {
    const damaged = Buffer.from(record);
    damaged[at]! ^= 0x10;
    const input = lab.input(damaged);
    const result = async (one: typeof decoder | typeof jobs): Promise<unknown> => {
      try {
        return (await one.run('decode', input)).output;
      } catch (error) {
        return asTardisError(error).code;
      }
    };
    t.deepEqual(await result(decoder), await result(jobs), `byte ${at}`);
    const alone = { ...input, contents: [{ offset: 900, sizeBytes: 300 }] };
    const output = await decoder
      .run('decode', alone)
      .then(({ output: found }) => found, asTardisError);
    if (output instanceof TardisError || output.startBytes === 0) continue; // an error, or another index
    const isRight = Buffer.from(output.digests).subarray(0, 32).equals(slices[1]!.digest);
    t.is(isRight, noise(2, 300).equals(output.bytes), `byte ${at}`);
  }
});

test('a missing object is one that may have been moved, in each way to decode', async (t) => {
  const lab = new Lab(t);
  const input = lab.input(recordsOf(Codec.zstd)[0]!);
  fs.rmSync(path.join(lab.home, 'packs/1'));
  for (const one of [new AsideDecoder(system, AT_ONCE), new InlineJobs(system)]) {
    const error = await t.throwsAsync(one.run('decode', input));
    t.like(error, { code: 'RECORD_DAMAGED', context: { isGone: true } });
  }
});

test('many records at once are decoded, each once it has its turn', async (t) => {
  const lab = new Lab(t);
  const inputs = Array.from({ length: 20 }, (_, n) => {
    const content = text(n, 10_000 + n);
    const compression = { codec: Codec.zstd, level: 1 };
    return lab.input(contentRecord(content, sliced([content]).slices[0]!, compression), `p${n}`);
  });
  const decoder = new AsideDecoder(system, AT_ONCE);
  const outputs = await Promise.all(inputs.map((input) => decoder.run('decode', input)));
  for (const [n, { output }] of outputs.entries()) {
    t.true(Buffer.from(output.bytes).equals(text(n, 10_000 + n)), String(n));
  }
});
