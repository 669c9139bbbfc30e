/** The basis of deltas: while it is read one chunk after the other, another thread decodes the next one. */
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { ContentRanges } from '../../src/contents/index.js';
import { Codec, STREAM_CHUNK_BYTES } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { chunkedRecord } from '../helpers/records.js';
import { noise, text } from '../helpers/tree.js';
import { seededRandom } from '../support/seeded-random.js';
import { seed } from '../helpers/seed.js';

const CHUNKS = 6;
/** Chunks that no codec makes smaller. */
const RAW_CHUNKS = 3;
const CONTENT = Buffer.concat([
  text(3, 3 * STREAM_CHUNK_BYTES),
  noise(4, 2 * STREAM_CHUNK_BYTES),
  Buffer.from('end'),
]);

class Lab {
  readonly record: Buffer;
  readonly ranges: ContentRanges;
  /** Number of chunks that another thread has decoded. */
  decodedAsync = 0;
  /** The place of the chunk that another thread decoded last. */
  last: Uint8Array | undefined;
  decoding: Promise<number> | undefined;
  reads = 0;

  constructor(codec: (typeof Codec)['none' | 'zstd' | 'zlib'] = Codec.zstd) {
    this.record = chunkedRecord(CONTENT, STREAM_CHUNK_BYTES, codec);
    const backend = {
      read: async (_name: string, position: number, target: Uint8Array, bytes: number) => {
        this.reads += 1;
        return this.record.copy(target, 0, position, position + bytes);
      },
      close: () => undefined,
    };
    const { native: calls } = nodeSystem();
    const native = new Proxy(calls, {
      get: (target, name: keyof typeof calls) => {
        if (name !== 'decodeAsync') return target[name];
        return async (...body: Parameters<typeof calls.decodeAsync>) => {
          this.decodedAsync += 1;
          [, , , , , , this.last] = body;
          this.decoding = calls.decodeAsync(...body);
          return this.decoding;
        };
      },
    });
    const piece = {
      object: 'packs/1',
      position: 0,
      recordBytes: this.record.length,
      digest: Buffer.alloc(32),
      sizeBytes: CONTENT.length,
      offset: 0,
    };
    this.ranges = new ContentRanges({ backend, native, keys: undefined }, [piece]);
  }

  async read(position: number, bytes: number): Promise<Buffer> {
    const target = Buffer.alloc(bytes);
    await this.ranges.read(position, target, 0, bytes);
    return target;
  }
}

async function readInOrder(lab: Lab, partBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = 0; at < CONTENT.length; at += partBytes) {
    parts.push(await lab.read(at, Math.min(partBytes, CONTENT.length - at)));
  }
  return Buffer.concat(parts);
}

for (const codec of [Codec.none, Codec.zstd, Codec.zlib]) {
  test(`a content that is read in order, of codec ${codec}`, async (t) => {
    for (const partBytes of [100_000, STREAM_CHUNK_BYTES, 2.5 * STREAM_CHUNK_BYTES]) {
      const lab = new Lab(codec);
      t.true((await readInOrder(lab, partBytes)).equals(CONTENT), `parts of ${partBytes}`);
      // The first three chunks do not show an order. The addon has no zlib, but can read the chunks that are stored raw.
      t.is(lab.decodedAsync, codec === Codec.zlib ? RAW_CHUNKS : CHUNKS - 3);
    }
  });
}

test('ranges in any order have the right bytes', async (t) => {
  const random = seededRandom(seed);
  let decodedAsync = 0;
  for (let round = 0; round < 12; round += 1) {
    const lab = new Lab();
    let at = 0;
    for (let read = 0; read < 30; read += 1) {
      // Most reads continue, so that chunks that were decoded ahead are used, left and read later.
      if (read % 10 === 7) at = Math.floor(random.next() * CONTENT.length);
      const bytes = Math.min(CONTENT.length - at, Math.floor(random.next() * 900_000));
      t.true((await lab.read(at, bytes)).equals(CONTENT.subarray(at, at + bytes)), `seed ${seed}`);
      at += bytes;
    }
    decodedAsync += lab.decodedAsync;
  }
  t.true(decodedAsync > 0);
});

test('a damaged chunk that is decoded ahead fails the read that needs it, and no other', async (t) => {
  for (const flipAt of [3.2, 4.2]) {
    const lab = new Lab(Codec.none);
    lab.record[Math.floor(flipAt * STREAM_CHUNK_BYTES)]! ^= 1;
    const chunk = Math.floor(flipAt);
    const before = await lab.read(0, chunk * STREAM_CHUNK_BYTES);
    t.true(before.equals(CONTENT.subarray(0, before.length)));
    const inIt = chunk * STREAM_CHUNK_BYTES + 10;
    await t.throwsAsync(lab.read(inIt, 10), { code: 'RECORD_DAMAGED' });
    const after = await lab.read(CONTENT.length - 3, 3);
    t.is(after.toString(), 'end');
  }
});

test('a reader that is released while a chunk is decoded reads no more of the store, and begins anew', async (t) => {
  const lab = new Lab();
  for (let round = 0; round < 20; round += 1) {
    await lab.read(0, 3 * STREAM_CHUNK_BYTES); // chunk 3 is being decoded
    const { reads, last } = lab;
    lab.ranges.release();
    t.is(last!.length, STREAM_CHUNK_BYTES, 'its memory is not free yet');
    await lab.decoding;
    await turn();
    t.is(last!.length, 0, 'it is freed then');
    t.is(lab.reads, reads);
  }
  t.true((await readInOrder(lab, STREAM_CHUNK_BYTES)).equals(CONTENT));
});
