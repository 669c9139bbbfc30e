// Pace: slow
/** Chunks of records, decoded ahead in another thread: the bytes and the errors are those of a reader without it. */
import test from 'ava';
import {
  type BodyDecoder,
  bodiesAside,
  MemoryAhead,
  ReusedBuffers,
  RecordReader,
} from '../../src/contents/index.js';
import { asTardisError } from '../../src/errors/index.js';
import { Codec, type ObjectReader, STREAM_CHUNK_BYTES } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { chunkedRecord } from '../helpers/records.js';
import { sha256 } from '../helpers/rows.js';
import { noise, text } from '../helpers/tree.js';

const { native } = nodeSystem();
const ASIDE = bodiesAside(native);
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

function readerOf(record: Buffer, memory: ReusedBuffers): RecordReader {
  const backend = {
    read: (_name: string, position: number, into: Buffer, bytes: number) =>
      Promise.resolve(record.copy(into, 0, position, position + bytes)),
    close: () => undefined,
  } as unknown as ObjectReader;
  return new RecordReader(backend, native, memory);
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
async function codeOf(record: Buffer, memory: ReusedBuffers): Promise<string | undefined> {
  try {
    await read(readerOf(record, memory), record.length);
    return undefined;
  } catch (error) {
    return asTardisError(error).code;
  }
}

test('each codec gives the content', async (t) => {
  for (const record of RECORDS) {
    const reader = readerOf(record, new MemoryAhead(ASIDE));
    t.true((await read(reader, record.length)).equals(CONTENT));
    t.true((await read(reader, record.length)).equals(CONTENT), 'once more');
  }
});

test('a flipped or missing byte is found as without threads', async (t) => {
  for (const record of RECORDS) {
    for (let at = 0; at < record.length; at += Math.floor(record.length / 23)) {
      const damaged = Buffer.from(record);
      damaged[at]! ^= 0x10;
      const found = await codeOf(damaged, new MemoryAhead(ASIDE));
      t.is(found, await codeOf(damaged, new ReusedBuffers()), `byte ${at}`);
    }
    const cut = record.subarray(0, -1);
    t.is(await codeOf(cut, new MemoryAhead(ASIDE)), 'RECORD_DAMAGED');
  }
});

test('a content of another digest is found at its end', async (t) => {
  for (const record of RECORDS) {
    for (const memory of [new MemoryAhead(ASIDE), new ReusedBuffers()]) {
      const reading = read(readerOf(record, memory), record.length, sha256(Buffer.from('other')));
      await t.throwsAsync(reading, { code: 'CONTENT_DAMAGED' });
    }
  }
});

test('one chunk is decoded while one is used, and none after the reader has left', async (t) => {
  let [running, most] = [0, 0];
  const decode: BodyDecoder = async (codec, sealed, target) => {
    running += 1;
    most = Math.max(most, running);
    await ASIDE(codec, sealed, target);
    await new Promise((resolve) => setTimeout(resolve, 20));
    running -= 1;
  };
  const [record] = RECORDS;
  const reader = readerOf(record!, new MemoryAhead(decode));
  const place = { object: 'x', position: 0, recordBytes: record!.length };
  const piece = { digest: sha256(CONTENT), sizeBytes: CONTENT.length, offset: 0, basis: undefined };
  for await (const part of reader.pieceBytes(place, piece)) {
    t.is(running, 1, 'the next one');
    t.true(part.equals(CONTENT.subarray(0, part.length)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.true(part.equals(CONTENT.subarray(0, part.length)), 'it is not overwritten');
    break;
  }
  t.is(running, 0);
  t.is(most, 1);
  t.true((await read(reader, record!.length)).equals(CONTENT), 'the reader is used again');
});
