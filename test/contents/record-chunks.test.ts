// Pace: slow
/** Chunks of records, decoded ahead in another thread: their bytes, their errors, and what of them may be overwritten. */
import test from 'ava';
import {
  type BodyDecoder,
  fetchHead,
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

test('one chunk is decoded while one is used, and none after the reader has left', async (t) => {
  let [running, most] = [0, 0];
  const slowly: BodyDecoder = async (codec, sealed, target) => {
    running += 1;
    most = Math.max(most, running);
    decode(codec, openSealed(native, sealed), target);
    await new Promise((resolve) => setTimeout(resolve, 20));
    running -= 1;
  };
  const record = RECORDS[0]!;
  const place = { object: 'x', position: 0, recordBytes: record.length };
  const source = { backend: backendOf(record), native, keys: undefined };
  const how = { memory: new ReusedBuffers(), decode: slowly };
  const head = await fetchHead(source, place);
  for await (const part of recordChunks(source, place, head, how)) {
    t.is(running, 1, 'the next one');
    t.true(part.equals(CONTENT.subarray(0, part.length)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.true(part.equals(CONTENT.subarray(0, part.length)), 'it is not overwritten');
    break;
  }
  t.is(running, 0);
  t.is(most, 1);
});
