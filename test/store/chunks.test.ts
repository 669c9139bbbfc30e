/** Contents too large for one piece are stored in chunks, each with its own checksum. */
import test from 'ava';
import {
  buildChunk,
  buildEncodedChunk,
  buildRecord,
  CHUNK_HEADER_BYTES,
  Codec,
  type CodecName,
  decodeChunk,
  encodedBound,
  isRecordSound,
  readChunkHeader,
  readHeader,
  RECORD_HEADER_BYTES,
  RecordKind,
  STREAM_CHUNK_BYTES,
} from '../../src/store/index.js';
import { MemoryBackend } from '../support/memory-backend.js';
import { seededRandom } from '../support/seeded-random.js';
import { thrownCode } from '../helpers/codes.js';
import { chunkedRecord } from '../helpers/records.js';

const CODEC_NAMES = Object.keys(Codec) as CodecName[];

function decodeAll(record: Buffer, chunkBytes: number): Buffer {
  const header = readHeader(record, 0)!;
  const pieces: Buffer[] = [];
  let remaining = header.rawBytes;
  for (let at = RECORD_HEADER_BYTES + header.indexBytes; at < record.length; ) {
    const chunk = readChunkHeader(record.subarray(at, at + CHUNK_HEADER_BYTES), chunkBytes);
    const from = at + CHUNK_HEADER_BYTES;
    const stored = record.subarray(from, from + chunk.storedBytes);
    if (stored.length !== chunk.storedBytes) throw new Error('cut off');
    const target = Buffer.alloc(Math.min(chunkBytes, remaining));
    decodeChunk(header.codec, chunk, { stored, target });
    pieces.push(target);
    remaining -= target.length;
    at = from + chunk.storedBytes;
  }
  return Buffer.concat(pieces);
}

async function soundness(record: Buffer): Promise<boolean> {
  const backend = new MemoryBackend();
  const writer = backend.create('ab/cd/object');
  writer.append(record);
  return isRecordSound(backend, 'ab/cd/object', 0, readHeader(record, 0)!);
}

const MIXED = Buffer.concat([
  Buffer.from('text that shrinks '.repeat(60)),
  seededRandom(9).bytes(700),
  Buffer.alloc(500),
]);

for (const name of CODEC_NAMES) {
  test(`a body in chunks comes back, with ${name}`, async (t) => {
    for (const chunkBytes of [100, 1000, MIXED.length - 1, MIXED.length, MIXED.length + 1]) {
      const record = chunkedRecord(MIXED, chunkBytes, Codec[name]);
      t.deepEqual(decodeAll(record, chunkBytes), MIXED);
      t.true(await soundness(record));
    }
  });
}

test('a chunk that does not shrink is stored as it is', (t) => {
  const noise = seededRandom(2).bytes(5000);
  const chunk = buildChunk(noise, { codec: Codec.zstd, level: 1 });
  const header = readChunkHeader(chunk, STREAM_CHUNK_BYTES);
  t.like(header, { storedBytes: noise.length, isRaw: true });
  t.deepEqual(chunk.subarray(CHUNK_HEADER_BYTES), noise);
  const zeros = buildChunk(Buffer.alloc(5000), { codec: Codec.zstd, level: 1 });
  t.false(readChunkHeader(zeros, STREAM_CHUNK_BYTES).isRaw);
  t.true(zeros.length < 100);
});

test('a chunk of the largest size is taken, also when it does not shrink', (t) => {
  const noise = seededRandom(4).bytes(1000);
  const full = Buffer.concat(Array.from({ length: STREAM_CHUNK_BYTES / 1000 + 1 }, () => noise));
  for (const codec of Object.values(Codec)) {
    const chunk = buildChunk(full.subarray(0, STREAM_CHUNK_BYTES), { codec, level: 1 });
    const header = readChunkHeader(chunk, STREAM_CHUNK_BYTES);
    t.is(header.storedBytes, chunk.length - CHUNK_HEADER_BYTES);
  }
});

test('a chunk that claims more than a chunk can have is damaged', (t) => {
  const header = Buffer.alloc(CHUNK_HEADER_BYTES);
  const bound = encodedBound(Codec.zstd, STREAM_CHUNK_BYTES);
  for (const claim of [bound + 1, 0x7fff_ffff, 0xffff_ffff]) {
    header.writeUInt32LE(claim, 0);
    const code = thrownCode(() => readChunkHeader(header, STREAM_CHUNK_BYTES));
    t.is(code, 'RECORD_DAMAGED', `${claim}`);
  }
  header.writeUInt32LE(bound, 0);
  t.is(readChunkHeader(header, STREAM_CHUNK_BYTES).storedBytes, bound);
});

test('every flipped bit in a body of chunks is detected when it is decoded', (t) => {
  const content = MIXED.subarray(700, 1500); // some chunks compress, some do not
  const record = chunkedRecord(content, 300, Codec.zstd);
  const bodyAt = RECORD_HEADER_BYTES + readHeader(record, 0)!.indexBytes;
  t.deepEqual(decodeAll(record, 300), content);
  for (let bit = bodyAt * 8; bit < record.length * 8; bit += 1) {
    const damaged = Buffer.from(record);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    let isFound = false;
    try {
      isFound = !decodeAll(damaged, 300).equals(content);
    } catch {
      isFound = true;
    }
    if (!isFound) t.fail(`bit ${bit}`);
  }
});

test('every flipped bit in a record of chunks makes it unsound, and so does a cut', async (t) => {
  const record = chunkedRecord(MIXED.subarray(700, 1300), 200, Codec.zstd);
  const backend = new MemoryBackend();
  const header = readHeader(record, 0)!;
  let wrongs = 0;
  for (let bit = RECORD_HEADER_BYTES * 8; bit < record.length * 8; bit += 1) {
    const damaged = Buffer.from(record);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const isRawBit = await isSoundAs(damaged);
    // A chunk's checksum does not cover the bit "stored raw"; the digest detects a change of that bit.
    if (isRawBit) wrongs += 1;
  }
  t.true(wrongs <= 3, 'one for each chunk at most');
  for (let length = RECORD_HEADER_BYTES; length < record.length; length += 1) {
    t.false(await isSoundAs(record.subarray(0, length)), `${length}`);
  }
  t.true(await isSoundAs(Buffer.concat([record, Buffer.from('the next record')])));

  async function isSoundAs(bytes: Buffer): Promise<boolean> {
    await backend.remove('x');
    backend.create('x').append(bytes);
    return isRecordSound(backend, 'x', 0, header);
  }
});

test('a record in one piece is sound only if its checksum is right', async (t) => {
  const content = seededRandom(8).bytes(600_000); // more than one read
  const header = { kind: RecordKind.content, codec: Codec.none, rawBytes: content.length };
  const record = buildRecord(header, Buffer.from('index'), content);
  t.true(await soundness(record));
  for (const at of [RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + 5, 300_000, record.length - 1]) {
    const damaged = Buffer.from(record);
    damaged[at]! ^= 1;
    t.false(await soundness(damaged), `${at}`);
    t.false(await soundness(record.subarray(0, at)), `cut at ${at}`);
  }
});

for (const name of CODEC_NAMES) {
  test(`any part of a chunk is decoded alone, with ${name}`, (t) => {
    const raw = Buffer.concat(Array.from({ length: 150 }, () => MIXED));
    const chunk = buildChunk(raw, { codec: Codec[name], level: 1 });
    const header = readChunkHeader(chunk, STREAM_CHUNK_BYTES);
    const stored = chunk.subarray(CHUNK_HEADER_BYTES);
    const decoded = (from: number, sizeBytes: number, of = stored): Buffer => {
      const target = Buffer.alloc(sizeBytes);
      const part = { from, rawBytes: raw.length };
      decodeChunk(Codec[name], header, { stored: of, target, part });
      return target;
    };
    const last = raw.length - 1;
    for (const from of [0, 1, 4096, 65_536, 131_071, 131_072, 200_000, last]) {
      for (const sizeBytes of [0, 1, 4096, 140_000]) {
        const end = Math.min(raw.length, from + sizeBytes);
        t.true(decoded(from, end - from).equals(raw.subarray(from, end)), `${from}+${sizeBytes}`);
      }
    }
    const changed = Buffer.from(stored);
    changed[changed.length - 1]! ^= 1;
    t.is(
      thrownCode(() => decoded(0, 1, changed)),
      'RECORD_DAMAGED',
      'damage behind the part is found, too',
    );
  });
}

test('a part of broken compressed bytes, and one behind their end, are damage', (t) => {
  const raw = Buffer.concat(Array.from({ length: 150 }, () => MIXED));
  const chunk = buildChunk(raw, { codec: Codec.zstd, level: 1 });
  const encoded = chunk.subarray(CHUNK_HEADER_BYTES);
  const decoded = (source: Buffer, from: number, sizeBytes: number) => {
    const made = buildEncodedChunk(source, false);
    const header = readChunkHeader(made, STREAM_CHUNK_BYTES);
    const stored = made.subarray(CHUNK_HEADER_BYTES);
    const part = { from, rawBytes: raw.length };
    const target = Buffer.alloc(sizeBytes);
    return thrownCode(() => decodeChunk(Codec.zstd, header, { stored, target, part }));
  };
  t.is(decoded(encoded, raw.length - 1, 1), undefined);
  t.is(decoded(encoded, raw.length - 1, 2), 'RECORD_DAMAGED');
  t.is(decoded(encoded, raw.length + 70_000, 1), 'RECORD_DAMAGED');
  t.is(decoded(encoded.subarray(0, 100), raw.length - 1, 1), 'RECORD_DAMAGED');
  t.is(decoded(seededRandom(3).bytes(1000), 0, 1), 'RECORD_DAMAGED');
  t.is(decoded(Buffer.alloc(0), 0, 1), 'RECORD_DAMAGED');
});
