// Pace: slow
/** Chunks of records, decoded ahead in another thread: their bytes, their errors, and what of them may be overwritten. */
import test from 'ava';
import {
  type BodyDecoder,
  fetchHead,
  provenBytes,
  recordChunks,
  ReusedBuffers,
  RecordReader,
} from '../../src/contents/index.js';
import { asTardisError } from '../../src/errors/index.js';
import {
  Codec,
  decode,
  type ObjectReader,
  openSealed,
  STREAM_CHUNK_BYTES,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { chunkedRecord } from '../helpers/records.js';
import { sha256 } from '../helpers/rows.js';
import { noise, text } from '../helpers/tree.js';
import { pause, until } from '../helpers/until.js';

const { native } = nodeSystem();
const CONTENT = Buffer.from(
  Buffer.concat([
    text(1, 2 * STREAM_CHUNK_BYTES),
    noise(2, STREAM_CHUNK_BYTES),
    Buffer.from('end'),
  ]),
);
const RECORDS = [Codec.none, Codec.zstd, Codec.zlib].map((codec) =>
  chunkedRecord(CONTENT, STREAM_CHUNK_BYTES, codec),
);
/** A content of which chunks are decoded ahead. */
const LARGE = Buffer.from(Buffer.concat([text(3, 8 * STREAM_CHUNK_BYTES), Buffer.from('end')]));
const LARGE_RECORD = chunkedRecord(LARGE, STREAM_CHUNK_BYTES, Codec.zstd);

function backendOf(record: Buffer): ObjectReader {
  return {
    read: (_name: string, position: number, into: Buffer, bytes: number) =>
      Promise.resolve(record.copy(into, 0, position, position + bytes)),
    close: () => undefined,
  };
}

function readerOf(record: Buffer): RecordReader {
  return new RecordReader(backendOf(record), native, new ReusedBuffers());
}

async function read(
  reader: RecordReader,
  recordBytes: number,
  digest = sha256(CONTENT),
): Promise<Buffer> {
  const place = { object: 'x', position: 0, recordBytes };
  const piece = { digest, sizeBytes: CONTENT.length, offset: 0, basis: undefined };
  const parts: Buffer[] = [];
  for await (const part of reader.pieceBytes(place, piece)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** Resolves with the error code of reading a record; undefined if it is read. */
async function codeOf(record: Buffer): Promise<string | undefined> {
  try {
    await read(readerOf(record), record.length);
    return undefined;
  } catch (error) {
    return asTardisError(error).code;
  }
}

test('each codec gives the content', async (t) => {
  for (const record of RECORDS) {
    const reader = readerOf(record);
    t.true((await read(reader, record.length)).equals(CONTENT));
    t.true((await read(reader, record.length)).equals(CONTENT), 'once more');
  }
});

test('a flipped or missing byte is found', async (t) => {
  for (const record of RECORDS) {
    for (let at = 0; at < record.length; at += Math.floor(record.length / 23)) {
      const damaged = Buffer.from(record);
      damaged[at]! ^= 0x10;
      t.regex((await codeOf(damaged)) ?? '', /^(RECORD|CONTENT)_DAMAGED$/u, `byte ${at}`);
    }
    t.is(await codeOf(record.subarray(0, -1)), 'RECORD_DAMAGED');
  }
});

test('a content of another digest is found at its end', async (t) => {
  for (const record of RECORDS) {
    const reading = read(readerOf(record), record.length, sha256(Buffer.from('other')));
    await t.throwsAsync(reading, { code: 'CONTENT_DAMAGED' });
  }
});

/** Yields the decoded chunks of a record. */
async function* chunksOf(
  record: Buffer,
  calls = native,
  decoder?: BodyDecoder,
): AsyncGenerator<Buffer> {
  const place = { object: 'x', position: 0, recordBytes: record.length };
  const source = { backend: backendOf(record), native: calls, keys: undefined };
  const how = { memory: new ReusedBuffers(), ...(decoder && { decode: decoder }) };
  yield* recordChunks(source, place, await fetchHead(source, place), how);
}

test('one chunk of a large record is decoded while one is used, and none after the reader has left', async (t) => {
  let [running, most, decoded] = [0, 0, 0];
  const isUsed = Promise.withResolvers<void>();
  const slowly = new Proxy(native, {
    get: (target, name: keyof typeof native) => {
      if (name !== 'decodeAsync') return target[name];
      return async (...body: Parameters<typeof native.decodeAsync>) => {
        running += 1;
        most = Math.max(most, running);
        const outcome = await native.decodeAsync(...body);
        decoded += 1;
        if (decoded > 1) await isUsed.promise;
        running -= 1;
        return outcome;
      };
    },
  });
  for await (const part of chunksOf(LARGE_RECORD, slowly)) {
    t.is(running, 1, 'the next one');
    t.true(part.equals(LARGE.subarray(0, part.length)));
    await until(() => decoded === 2);
    t.true(part.equals(LARGE.subarray(0, part.length)), 'it is not overwritten');
    isUsed.resolve();
    break;
  }
  t.is(running, 0);
  t.is(most, 1);
});

for (const [what, record, chunks] of [
  ['small', RECORDS[1]!, 4],
  ['large', LARGE_RECORD, 9],
] as const) {
  test(`a chunk of a ${what} record is decoded by its caller's decoder when it is requested`, async (t) => {
    let decoded = 0;
    const counting: BodyDecoder = (codec, sealed, target) => {
      decode(codec, openSealed(native, sealed), target);
      decoded += 1;
    };
    let used = 0;
    for await (const _ of chunksOf(record, native, counting)) {
      used += 1;
      await pause(5); // time enough for one that is decoded ahead
      t.is(decoded, used);
    }
    t.is(used, chunks);
  });
}

test('a chunk of a large record stays as it is until the one after the next is requested', async (t) => {
  let at = 0;
  let last: { part: Buffer; at: number } = { part: Buffer.alloc(0), at };
  for await (const part of chunksOf(LARGE_RECORD)) {
    await pause(5); // the next one may be decoded
    t.true(part.equals(LARGE.subarray(at, at + part.length)));
    t.true(last.part.equals(LARGE.subarray(last.at, last.at + last.part.length)));
    last = { part, at };
    at += part.length;
  }
  t.is(at, LARGE.length);
});

test('the chunks of a small record share the memory of one', async (t) => {
  const chunks: Buffer[] = [];
  for await (const part of chunksOf(RECORDS[1]!)) chunks.push(part);
  t.is(chunks.length, 4);
  t.is(new Set(chunks.map(({ buffer }) => buffer)).size, 1);
});

test('a part of a large content is hashed while it is used and the next one is made, and is left when it is hashed', async (t) => {
  let hashing = 0;
  const slowHash = new Proxy(native, {
    get: (target, name: keyof typeof native) => {
      if (name !== 'sha256Part') return target[name];
      return async (state: Uint8Array, part: Uint8Array) => {
        hashing += 1;
        await pause(20);
        await native.sha256Part(state, part, true);
        hashing -= 1;
      };
    },
  });
  const opener = { native: slowHash, keys: undefined };
  const piece = { digest: sha256(LARGE), sizeBytes: LARGE.length };
  const usedHashing: number[] = [];
  const madeHashing: number[] = [];
  let endedHashing = -1;
  async function* parts(): AsyncGenerator<Buffer> {
    const halves = [LARGE.subarray(0, STREAM_CHUNK_BYTES), LARGE.subarray(STREAM_CHUNK_BYTES)];
    try {
      for (const half of halves) {
        madeHashing.push(hashing);
        yield half;
      }
    } finally {
      endedHashing = hashing;
    }
    await Promise.resolve();
  }
  for await (const _ of provenBytes(opener, parts(), piece)) usedHashing.push(hashing);
  t.deepEqual(
    [madeHashing, usedHashing],
    [
      [0, 1],
      [1, 1],
    ],
  ); // prettier-ignore
  t.is(hashing, 0);
  for await (const _ of provenBytes(opener, parts(), piece)) break;
  t.deepEqual([hashing, endedHashing], [0, 0], 'the reader has left');
  const shorter = provenBytes(opener, parts(), { ...piece, sizeBytes: LARGE.length + 1 });
  await t.throwsAsync(
    async () => {
      for await (const _ of shorter);
    },
    { code: 'CONTENT_DAMAGED' },
  );
});
