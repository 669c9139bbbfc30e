/** Ranges of chunks that are read at random: what is decoded and kept, and that the bytes are right. */
import test from 'ava';
import { OpenContent, DecodedBlocks } from '../../src/contents/index.js';
import { type ClientDirectory, Codec, STREAM_CHUNK_BYTES } from '../../src/store/index.js';
import { releaseAll } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { chunkedRecord } from '../helpers/records.js';
import { seededRandom } from '../support/seeded-random.js';

const CHUNKS = 24;
const READ_BYTES = 4096;

/** Bytes of several chunks, of which half can be compressed. */
const RAW = Buffer.concat(
  Array.from({ length: CHUNKS * 128 }, (_, part) => {
    const random = seededRandom(part).bytes(4096);
    return Buffer.concat([random, Buffer.alloc(4096, part)]);
  }),
);
const RECORD = chunkedRecord(RAW, STREAM_CHUNK_BYTES, Codec.zstd);
const PIECE = {
  object: 'packs/1',
  position: 0,
  recordBytes: RECORD.length,
  digest: Buffer.alloc(32),
  sizeBytes: RAW.length,
  offset: 0,
};

class Lab {
  readonly blocks: DecodedBlocks;
  /** The stored bytes, which a test may change. */
  readonly stored = Buffer.from(RECORD);

  constructor() {
    const backend = {
      read: async (_name: string, position: number, target: Uint8Array, bytes: number) =>
        this.stored.copy(target, 0, position, position + bytes),
      close: () => undefined,
    };
    const source = { backend, native: nodeSystem().native, keys: undefined };
    const decoder: ConstructorParameters<typeof DecodedBlocks>[1] = {
      decode: () => Promise.reject(new Error('no chunk is decoded in another thread here')),
      reuse: releaseAll,
    };
    this.blocks = new DecodedBlocks(source, decoder, {} as ClientDirectory);
    this.blocks.isAlone = true;
  }

  async open(): Promise<OpenContent> {
    return OpenContent.open([PIECE], { isSparse: false, isLone: false }, this.blocks);
  }

  /** Numbers of the chunks that are kept. */
  kept(): number[] {
    return Array.from({ length: CHUNKS }, (_, chunk) => chunk).filter((chunk) =>
      this.blocks.has(PIECE, chunk),
    );
  }
}

async function bytesAt(content: OpenContent, position: number, bytes = READ_BYTES) {
  const { data, from, bytes: count } = await content.read(position, bytes);
  return Buffer.from(data.subarray(from, from + count));
}

test('of a chunk that is read at random only a range is decoded; at a second range soon after, all of it', async (t) => {
  const lab = new Lab();
  const content = await lab.open();
  const position = 7 * STREAM_CHUNK_BYTES + 5000;
  t.deepEqual(await bytesAt(content, position), RAW.subarray(position, position + READ_BYTES));
  t.deepEqual(lab.kept(), []);
  const second = position + 100_000;
  t.deepEqual(await bytesAt(content, second), RAW.subarray(second, second + READ_BYTES));
  t.deepEqual(lab.kept(), [7]);
});

test('a file that is read from its beginning has whole chunks', async (t) => {
  const lab = new Lab();
  const content = await lab.open();
  t.deepEqual(await bytesAt(content, 0), RAW.subarray(0, READ_BYTES));
  t.true(lab.blocks.has(PIECE, 0));
});

test('random reads have the right bytes, across the ends of chunks, too', async (t) => {
  const lab = new Lab();
  const content = await lab.open();
  const random = seededRandom(1);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  for (let read = 0; read < 300; read += 1) {
    const near = below(CHUNKS) * STREAM_CHUNK_BYTES - below(9000);
    const position = Math.max(1, read % 3 === 0 ? near : below(RAW.length));
    const bytes = 1 + below(3 * READ_BYTES);
    const expected = RAW.subarray(position, position + bytes);
    t.true((await bytesAt(content, position, bytes)).equals(expected), `${position}+${bytes}`);
  }
});

test('damage anywhere in a chunk is reported, also behind the range', async (t) => {
  const lab = new Lab();
  const content = await lab.open();
  lab.stored[RECORD.length - 1]! ^= 1;
  const position = (CHUNKS - 1) * STREAM_CHUNK_BYTES + 10;
  await t.throwsAsync(bytesAt(content, position), { code: 'RECORD_DAMAGED' });
  t.deepEqual(await bytesAt(content, 10), RAW.subarray(10, 10 + READ_BYTES));
});
