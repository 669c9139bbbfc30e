/** Checksums by the addon are those of zlib. */
import zlib from 'node:zlib';
import test from 'ava';
import { crc32, loadNative } from '../../src/system/index.js';
import { seed } from '../helpers/seed.js';
import { seededRandom } from '../support/seeded-random.js';

const native = loadNative();

test('of any length, at any place, after any bytes', (t) => {
  t.log(`TEST_SEED=${seed}`);
  const random = seededRandom(seed);
  const bytes = random.bytes(3000);
  const same = (part: Buffer, before: number): void => {
    const wanted = zlib.crc32(part, before);
    const about = `${part.length} bytes at ${part.byteOffset % 16} after ${before}`;
    if (crc32(part, before) !== wanted) t.fail(about);
    if ((native.crc32(part, before) ?? wanted) !== wanted) t.fail(`the addon: ${about}`);
  };
  for (let length = 0; length <= 300; length += 1) {
    for (let at = 0; at < 17; at += 1) same(bytes.subarray(at, at + length), 0);
  }
  for (let run = 0; run < 1000; run += 1) {
    const [from, end, before] = [0, 4, 8].map((at) => random.bytes(12).readUInt32LE(at));
    same(bytes.subarray(from! % 1000, 1000 + (end! % 2000)), before!);
  }
  same(Buffer.alloc(5000), 0);
  same(Buffer.alloc(5000, 255), 0xffff_ffff);
  t.is(crc32(Buffer.from('123456789')), 0xcbf4_3926);
  t.is(native.crc32(Buffer.from('123456789'), 0) ?? 0xcbf4_3926, 0xcbf4_3926);
});

test('in pieces it is the one of the whole', (t) => {
  const bytes = seededRandom(seed).bytes(9000);
  for (const cut of [1, 1023, 1024, 4000, 8999]) {
    t.is(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), zlib.crc32(bytes));
  }
});

test('what is no checksum, or no bytes, is refused', (t) => {
  for (const before of [-1, 2 ** 32, 0.5, NaN]) {
    // A processor without the instruction gives nothing before it looks.
    if (native.crc32(Buffer.alloc(0), 0) === undefined) break;
    t.throws(() => native.crc32(Buffer.alloc(1), before), { code: 'EINVAL' });
  }
  t.throws(() => native.crc32([1] as unknown as Uint8Array, 0), { code: 'EINVAL' });
});
