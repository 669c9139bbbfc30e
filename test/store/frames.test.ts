// Pace: slow
import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import * as fc from 'fast-check';
import { BytesBuilder } from '../../src/model/index.js';
import {
  buildFrame,
  Codec,
  type CodecName,
  type Compression,
  decode,
  encode,
  encodedBound,
  MAX_FRAME_CONTENTS,
  parseRecord,
  readContentIndex,
  readFrameIndex,
  RecordKind,
} from '../../src/store/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { thrownCode } from '../helpers/codes.js';
import { contentRecord, frameRecord, sliced } from '../helpers/records.js';
import { sha256 } from '../helpers/rows.js';

const CODEC_NAMES = Object.keys(Codec) as CodecName[];

const TEXT = Buffer.from('All work and no play makes a backup a dull restore. '.repeat(200));

function compressionOf(name: CodecName): Compression {
  return { codec: Codec[name], level: name === 'zlib' ? 6 : 3 };
}

/** Returns the contents of a frame, located as a restore locates them. */
function contentsOf(record: Buffer): Buffer[] {
  const { header, index, body } = parseRecord(record);
  const decoded = Buffer.alloc(header.rawBytes);
  decode(header.codec, body, decoded);
  return readFrameIndex(header, index).map(({ digest, offset, sizeBytes }) => {
    const content = decoded.subarray(offset, offset + sizeBytes);
    if (!createHash('sha256').update(content).digest().equals(digest)) throw new Error('differs');
    return content;
  });
}

function encoded(codec: CodecName, raw: Uint8Array): Buffer {
  const target = Buffer.alloc(encodedBound(Codec[codec], raw.length));
  const bytes = encode(Codec[codec], compressionOf(codec).level, raw, target, 0);
  return target.subarray(0, bytes);
}

for (const name of CODEC_NAMES) {
  test(`a frame gives back what went into it, with ${name}`, (t) => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc.nat(8000).map((bytes) => TEXT.subarray(0, bytes)),
    );
    fc.assert(
      fc.property(
        fc.array(content, { minLength: 1, maxLength: 8 }),
        fc.constantFrom(0, 5),
        (contents, gap) => {
          const { source, slices } = sliced(contents, gap);
          const record = frameRecord(source, slices, compressionOf(name));
          t.is(parseRecord(record).header.kind, RecordKind.frame);
          t.deepEqual(
            contentsOf(record),
            contents.map((bytes) => Buffer.from(bytes)),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test(`a content of middle size comes back, with ${name}`, (t) => {
    for (const content of [TEXT, randomBytes(50_000), Buffer.alloc(200_000), Buffer.from('x')]) {
      const { source, slices } = sliced([Buffer.from('before'), content], 3);
      const record = contentRecord(source, slices[1]!, compressionOf(name));
      const { header, index, body } = parseRecord(record);
      t.is(header.kind, RecordKind.content);
      t.like(readContentIndex(index), { digest: sha256(content), sizeBytes: content.length });
      const decoded = Buffer.alloc(header.rawBytes);
      decode(header.codec, body, decoded);
      t.deepEqual(decoded, content);
    }
  });

  test(`encoding keeps within its bound and its place, with ${name}`, (t) => {
    const random = seededRandom(5);
    for (const bytes of [0, 1, 100, 70_000]) {
      for (const raw of [random.bytes(bytes), Buffer.alloc(bytes)]) {
        const target = Buffer.alloc(encodedBound(Codec[name], bytes) + 20, 0xaa);
        const length = encode(Codec[name], 1, raw, target, 10);
        t.true(10 + length <= target.length - 10);
        t.true(target.subarray(0, 10).every((byte) => byte === 0xaa));
        const back = Buffer.alloc(bytes);
        decode(Codec[name], target.subarray(10, 10 + length), back);
        t.deepEqual(back, raw);
      }
    }
  });

  test(`a decoder takes no other length than the expected one, with ${name}`, (t) => {
    for (const raw of [TEXT, randomBytes(1000), Buffer.alloc(0)]) {
      const stored = encoded(name, raw);
      for (const bytes of [0, 1, raw.length - 1, raw.length + 1, raw.length * 2 + 5]) {
        if (bytes < 0 || bytes === raw.length) continue;
        const code = thrownCode(() => decode(Codec[name], stored, Buffer.alloc(bytes)));
        t.is(code, 'RECORD_DAMAGED', `${raw.length} as ${bytes}`);
      }
    }
  });
}

for (const name of CODEC_NAMES.filter((codec) => codec !== 'none')) {
  test(`what shrinks is stored smaller, what does not is stored raw, with ${name}`, (t) => {
    const noise = seededRandom(1).bytes(20_000);
    const compression = compressionOf(name);
    const build = {
      frame: (bytes: Buffer) => {
        const { source, slices } = sliced([bytes]);
        return parseRecord(frameRecord(source, slices, compression));
      },
      content: (bytes: Buffer) => {
        const { source, slices } = sliced([bytes]);
        return parseRecord(contentRecord(source, slices[0]!, compression));
      },
    };
    for (const make of Object.values(build)) {
      const shrunk = make(TEXT);
      t.is(shrunk.header.codec, compression.codec);
      t.is(shrunk.header.rawBytes, TEXT.length);
      t.true(shrunk.body.length < TEXT.length / 2);
      const kept = make(noise);
      t.is(kept.header.codec, Codec.none);
      t.deepEqual(kept.body, noise);
    }
  });

  test(`a decoder is not blown up by what decodes to far more, with ${name}`, (t) => {
    const bomb = encoded(name, Buffer.alloc(64 << 20));
    const before = process.memoryUsage();
    for (let round = 0; round < 4; round += 1) {
      const code = thrownCode(() => decode(Codec[name], bomb, Buffer.alloc(1000)));
      t.is(code, 'RECORD_DAMAGED');
    }
    const after = process.memoryUsage();
    t.true(after.arrayBuffers - before.arrayBuffers < 16 << 20, 'nothing near the claimed length');
  });

  test(`broken input is damage, never a crash, with ${name}`, (t) => {
    const random = seededRandom(3);
    const stored = encoded(name, TEXT);
    const outcomes = new Set<string | undefined>();
    for (let round = 0; round < 500; round += 1) {
      const broken = Buffer.from(stored.subarray(0, 1 + Math.floor(random.next() * stored.length)));
      const flips = Math.floor(random.next() * 4);
      for (let flip = 0; flip < flips; flip += 1) {
        broken[Math.floor(random.next() * broken.length)] = Math.floor(random.next() * 256);
      }
      outcomes.add(thrownCode(() => decode(Codec[name], broken, Buffer.alloc(TEXT.length))));
    }
    outcomes.delete(undefined); // a flip in a literal, which only checksum and digest detect
    t.deepEqual([...outcomes], ['RECORD_DAMAGED']);
    const noise = thrownCode(() => decode(Codec[name], random.bytes(300), Buffer.alloc(300)));
    t.is(noise, 'RECORD_DAMAGED');
    const nothing = thrownCode(() => decode(Codec[name], Buffer.alloc(0), Buffer.alloc(5)));
    t.is(nothing, 'RECORD_DAMAGED');
  });
}

test('a snappy input that lies about its length is refused before it is believed', (t) => {
  const honest = encoded('snappy', TEXT);
  const lies = [
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), // 4 GiB
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]), // a length without an end
    Buffer.from([0x00]),
  ];
  for (const lie of lies) {
    const input = Buffer.concat([lie, honest.subarray(2)]);
    const code = thrownCode(() => decode(Codec.snappy, input, Buffer.alloc(TEXT.length)));
    t.is(code, 'RECORD_DAMAGED');
  }
});

test('every flipped bit in a compressed frame is detected', (t) => {
  const { source, slices } = sliced([TEXT.subarray(0, 2000), Buffer.from('second')]);
  const record = frameRecord(source, slices, compressionOf('zstd'));
  for (let bit = 0; bit < record.length * 8; bit += 1) {
    const damaged = Buffer.from(record);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const code = thrownCode(() => parseRecord(damaged));
    if (code !== 'RECORD_DAMAGED') t.fail(`bit ${bit}: ${code}`);
  }
  t.deepEqual(contentsOf(record), [TEXT.subarray(0, 2000), Buffer.from('second')]);
});

test('frames can be written one after another', (t) => {
  const contents = ['one', 'two', 'three'].map((text) => Buffer.from(text.repeat(100)));
  const target = new BytesBuilder(1);
  const lengths = contents.map((content) => {
    const { source, slices } = sliced([content]);
    return buildFrame(source, slices, { compression: compressionOf('zstd'), target });
  });
  const all = target.take();
  t.is(all.byteLength, all.buffer.byteLength, 'they can be moved to another thread');
  let at = 0;
  lengths.forEach((length, index) => {
    t.deepEqual(contentsOf(all.subarray(at, at + length)), [contents[index]!]);
    at += length;
  });
  t.is(at, all.length);
});

test('a frame can hold as many contents as a reader takes', (t) => {
  const contents = Array.from({ length: MAX_FRAME_CONTENTS }, (_, at) => Buffer.from(String(at)));
  const { source, slices } = sliced(contents);
  t.deepEqual(contentsOf(frameRecord(source, slices, compressionOf('zstd'))), contents);
});
