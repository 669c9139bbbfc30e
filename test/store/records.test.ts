import { crc32 } from 'node:zlib';
import test from 'ava';
import * as fc from 'fast-check';
import {
  buildRecord,
  Codec,
  CONTENT_INDEX_BYTES,
  FRAME_ENTRY_BYTES,
  MAX_BODY_BYTES,
  MAX_FRAME_CONTENTS,
  MAX_FRAME_RAW_BYTES,
  MAX_INDEX_BYTES,
  type NewHeader,
  parseRecord,
  readContentIndex,
  readFrameIndex,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
  RecordKind,
  writeContentIndex,
  writeHeader,
} from '../../src/store/index.js';
import { Scheme } from '../../src/model/index.js';
import { thrownCode } from '../helpers/codes.js';
import { sha256 } from '../helpers/rows.js';

/** The layout of the header (docs/inside/formats.md). */
const AT = { version: 4, kind: 5, codec: 6, scheme: 7, flags: 12, sequence: 16, rawBytes: 24 };
const BODY_BYTES_AT = 32;
const INDEX_BYTES_AT = 40;
const HEADER_CHECKSUM_AT = 68;

const PLAIN: NewHeader = {
  kind: RecordKind.content,
  codec: Codec.none,
  rawBytes: 5,
  bodyBytes: 5,
  indexBytes: 7,
  bodyChecksum: 9,
};

function headerOf(header: NewHeader): Buffer {
  const bytes = Buffer.alloc(RECORD_HEADER_BYTES);
  writeHeader(bytes, 0, header);
  return bytes;
}

/** Returns the header with another value at an offset and a valid checksum: forged, not damaged. */
function forged(header: Buffer, at: number, value: bigint, bytes: 1 | 4 | 8): Buffer {
  const copy = Buffer.from(header);
  if (bytes === 1) copy.writeUInt8(Number(value), at);
  else if (bytes === 4) copy.writeUInt32LE(Number(value), at);
  else copy.writeBigUInt64LE(value, at);
  copy.writeUInt32LE(crc32(copy.subarray(0, HEADER_CHECKSUM_AT)), HEADER_CHECKSUM_AT);
  return copy;
}

const anyHeader: fc.Arbitrary<RecordHeader> = fc.record({
  kind: fc.constantFrom(...Object.values(RecordKind)),
  codec: fc.constantFrom(...Object.values(Codec)),
  scheme: fc.constantFrom(...Object.values(Scheme)),
  epoch: fc.integer({ min: 0, max: 0xffff_ffff }),
  salt: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((salt) => Buffer.from(salt)),
  flags: fc.constantFrom(0, RECORD_CHUNKED),
  sequence: fc.maxSafeNat(),
  rawBytes: fc.maxSafeNat(),
  bodyBytes: fc.integer({ min: 0, max: MAX_BODY_BYTES }),
  indexBytes: fc.integer({ min: 0, max: MAX_INDEX_BYTES }),
  bodyChecksum: fc.integer({ min: 0, max: 0xffff_ffff }),
});

test('a header comes back as it was written, wherever it stands', (t) => {
  fc.assert(
    fc.property(anyHeader, fc.nat(50), (header, at) => {
      const buffer = Buffer.alloc(at + RECORD_HEADER_BYTES + 3, 0xaa);
      writeHeader(buffer, at, header);
      t.deepEqual(readHeader(buffer, at), header);
      t.true(buffer.subarray(0, at).every((byte) => byte === 0xaa));
      t.true(buffer.subarray(at + RECORD_HEADER_BYTES).every((byte) => byte === 0xaa));
      t.is(recordBytes(header), RECORD_HEADER_BYTES + header.indexBytes + header.bodyBytes);
    }),
  );
});

test('every single flipped bit in a record is detected', (t) => {
  const record = buildRecord(
    { kind: RecordKind.listing, codec: Codec.zstd, rawBytes: 99, sequence: 3 },
    Buffer.from('an index'),
    Buffer.from('and a body behind it'),
  );
  t.is(parseRecord(record).header.sequence, 3);
  for (let bit = 0; bit < record.length * 8; bit += 1) {
    const damaged = Buffer.from(record);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const where = `bit ${bit}`;
    if (bit < RECORD_HEADER_BYTES * 8) t.is(readHeader(damaged, 0), undefined, where);
    const code = thrownCode(() => parseRecord(damaged));
    t.is(code, 'RECORD_DAMAGED', where);
  }
});

test('a record that is cut at any length, or goes on, is damaged', (t) => {
  const record = buildRecord(
    { kind: RecordKind.event, codec: Codec.none, rawBytes: 4 },
    Buffer.from('index'),
    Buffer.from('body'),
  );
  for (let length = 0; length < record.length; length += 1) {
    const code = thrownCode(() => parseRecord(record.subarray(0, length)));
    t.is(code, 'RECORD_DAMAGED', `${length}`);
  }
  const longer = Buffer.concat([record, Buffer.alloc(1)]);
  const code = thrownCode(() => parseRecord(longer));
  t.is(code, 'RECORD_DAMAGED');
  for (let length = 0; length < RECORD_HEADER_BYTES; length += 1) {
    t.is(readHeader(record.subarray(0, length), 0), undefined);
  }
  t.is(readHeader(record, 1), undefined);
  t.is(readHeader(record, record.length - 3), undefined);
});

test('index and body come apart as they were put together', (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (index, body) => {
      const header = { kind: RecordKind.commit, codec: Codec.none, rawBytes: body.length };
      const parsed = parseRecord(buildRecord(header, index, body));
      t.deepEqual(parsed.index, Buffer.from(index));
      t.deepEqual(parsed.body, Buffer.from(body));
      t.is(parsed.header.indexBytes, index.length);
      t.is(parsed.header.bodyBytes, body.length);
    }),
  );
});

test('a sound header of a later version, or with an unknown part, is reported', (t) => {
  const header = headerOf(PLAIN);
  const forgeries: [string, number, bigint, 1 | 4 | 8][] = [
    ['version 0', AT.version, 0n, 1],
    ['version 2', AT.version, 2n, 1],
    ['kind 0', AT.kind, 0n, 1],
    ['kind 14', AT.kind, 14n, 1],
    ['codec 4', AT.codec, 4n, 1],
    ['codec 255', AT.codec, 255n, 1],
    ['scheme 0', AT.scheme, 0n, 1],
    ['scheme 5', AT.scheme, 5n, 1],
    ['flag 4', AT.flags, 4n, 4],
    ['flag 1 and another', AT.flags, 0x8000_0001n, 4],
  ];
  for (const [what, at, value, bytes] of forgeries) {
    const newer = forged(header, at, value, bytes);
    t.is(
      thrownCode(() => readHeader(newer, 0)),
      'STORE_NEWER',
      what,
    );
    newer[HEADER_CHECKSUM_AT]! ^= 1;
    t.is(readHeader(newer, 0), undefined, `${what}, damaged`);
  }
  t.is(readHeader(forged(header, AT.kind, 9n, 1), 0)?.kind, RecordKind.delta);
  t.is(readHeader(forged(header, AT.codec, 3n, 1), 0)?.codec, Codec.snappy);
});

test('a header with lengths no honest writer gives is none', (t) => {
  const header = headerOf(PLAIN);
  const forgeries: [string, number, bigint, 4 | 8][] = [
    ['sequence', AT.sequence, 2n ** 53n, 8],
    ['sequence', AT.sequence, 2n ** 64n - 1n, 8],
    ['raw', AT.rawBytes, 2n ** 53n, 8],
    ['raw', AT.rawBytes, 2n ** 64n - 1n, 8],
    ['body', BODY_BYTES_AT, BigInt(MAX_BODY_BYTES) + 1n, 8],
    ['body', BODY_BYTES_AT, 2n ** 64n - 1n, 8],
    ['index', INDEX_BYTES_AT, BigInt(MAX_INDEX_BYTES) + 1n, 4],
    ['index', INDEX_BYTES_AT, 2n ** 32n - 1n, 4],
  ];
  for (const [what, at, value, bytes] of forgeries) {
    t.is(readHeader(forged(header, at, value, bytes), 0), undefined, `${what} ${value}`);
  }
  const largest = forged(header, BODY_BYTES_AT, BigInt(MAX_BODY_BYTES), 8);
  t.is(readHeader(largest, 0)?.bodyBytes, MAX_BODY_BYTES);
  const code = thrownCode(() => parseRecord(largest));
  t.is(code, 'RECORD_DAMAGED', 'and the body it promises is not there');
});

// --- indexes -----------------------------------------------------------------------------------

function frameHeader(rawBytes: number, indexBytes: number): RecordHeader {
  return readHeader(headerOf({ ...PLAIN, kind: RecordKind.frame, rawBytes, indexBytes }), 0)!;
}

function frameIndex(sizes: readonly number[]): Buffer {
  const index = Buffer.alloc(sizes.length * FRAME_ENTRY_BYTES);
  sizes.forEach((size, at) => {
    sha256(String(at)).copy(index, at * FRAME_ENTRY_BYTES);
    index.writeUInt32LE(size, (at + 1) * FRAME_ENTRY_BYTES - 4);
  });
  return index;
}

test('a frame has the place of each of its contents', (t) => {
  const index = frameIndex([10, 0, 300]);
  const entries = readFrameIndex(frameHeader(310, index.length), index);
  t.deepEqual(
    entries.map(({ digest, sizeBytes, offset }) => [Buffer.from(digest), sizeBytes, offset]),
    [
      [sha256('0'), 10, 0],
      [sha256('1'), 0, 10],
      [sha256('2'), 300, 10],
    ],
  );
});

test('a frame whose lengths do not add up, or are too large, is damaged', (t) => {
  const many = (count: number, size: number): number[] => Array.from({ length: count }, () => size);
  const wrongs: [string, number, Buffer][] = [
    ['empty', 0, Buffer.alloc(0)],
    ['cut', 10, frameIndex([10]).subarray(0, -1)],
    ['more than the frame holds', 9, frameIndex([10])],
    ['less than the frame holds', 11, frameIndex([10])],
    ['too many', MAX_FRAME_CONTENTS + 1, frameIndex(many(MAX_FRAME_CONTENTS + 1, 1))],
    ['too large', MAX_FRAME_RAW_BYTES + 1, frameIndex([MAX_FRAME_RAW_BYTES, 1])],
    ['a claim of 16 TiB', 4096 * 0xffff_ffff, frameIndex(many(4096, 0xffff_ffff))],
  ];
  for (const [what, rawBytes, index] of wrongs) {
    const header = frameHeader(rawBytes, index.length);
    const code = thrownCode(() => readFrameIndex(header, index));
    t.is(code, 'RECORD_DAMAGED', what);
  }
  const fullest = frameIndex(many(MAX_FRAME_CONTENTS, 2048));
  const entries = readFrameIndex(frameHeader(MAX_FRAME_RAW_BYTES, fullest.length), fullest);
  t.is(entries.length, MAX_FRAME_CONTENTS);
});

test('the index of a content comes back, also past 4 GiB', (t) => {
  const content = {
    digest: sha256('content'),
    sizeBytes: 64 << 20,
    fileSizeBytes: 2 ** 53 - 1,
    chunkBytes: 1 << 20,
  };
  const index = writeContentIndex(content);
  t.is(index.length, CONTENT_INDEX_BYTES);
  t.deepEqual(readContentIndex(index), content);
});

test('an index of a content that is impossible is damaged', (t) => {
  const index = writeContentIndex({
    digest: sha256('content'),
    sizeBytes: 1,
    fileSizeBytes: 1,
    chunkBytes: 0,
  });
  const sizeAt = 32;
  const withSize = (at: number): Buffer => {
    const copy = Buffer.from(index);
    copy.writeBigUInt64LE(2n ** 53n, at);
    return copy;
  };
  const wrongs = [
    Buffer.alloc(0),
    index.subarray(1),
    Buffer.concat([index, Buffer.alloc(1)]),
    withSize(sizeAt),
    withSize(sizeAt + 8),
  ];
  for (const wrong of wrongs) {
    const code = thrownCode(() => readContentIndex(wrong));
    t.is(code, 'RECORD_DAMAGED');
  }
});
