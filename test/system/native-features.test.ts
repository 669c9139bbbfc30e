/** Features of contents, as the addon finds them. */
import test from 'ava';
import { FEATURE_BYTES, GEAR_BYTES, loadNative } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { thrownCode } from '../helpers/codes.js';

const native = loadNative();
const gear = seededRandom(1).bytes(GEAR_BYTES);
const MIB = 1 << 20;
const U64 = (1n << 64n) - 1n;

/** Returns all features, as the definition has them. */
function expected(data: Buffer): bigint[] {
  const features: bigint[] = [];
  let hash = 0n;
  for (const [at, byte] of data.entries()) {
    hash = ((hash << 1n) + gear.readBigUInt64LE(8 * byte)) & U64;
    if (at < 63 || hash >> 53n !== 0n) continue;
    let mixed = (hash * 0x9e3779b97f4a7c15n) & U64;
    mixed ^= mixed >> 29n;
    mixed = (mixed * 0xbf58476d1ce4e5b9n) & U64;
    features.push((mixed ^ (mixed >> 32n)) >> 24n);
  }
  return features;
}

function listOf(bytes: Buffer): bigint[] {
  const count = bytes.length / FEATURE_BYTES;
  return Array.from({ length: count }, (_, n) => BigInt(bytes.readUIntLE(n * FEATURE_BYTES, 5)));
}

function all(data: Buffer, table = gear, into = Buffer.alloc(MIB)): bigint[] {
  return listOf(into.subarray(0, native.allFeatures(table, data, data.length, into)));
}

function least(data: Buffer, spanBytes: number, into = Buffer.alloc(MIB)): bigint[] {
  const bytes = native.leastFeatures(gear, data, data.length, spanBytes, into);
  return listOf(into.subarray(0, bytes));
}

test('features are those of their definition, wherever their bytes are', (t) => {
  const data = seededRandom(2).bytes(300_000);
  const found = all(data);
  t.deepEqual(found, expected(data));
  t.true(found.length > 100 && found.length < 200, `${found.length}`);
  const moved = Buffer.concat([Buffer.alloc(777, 'x'), data]);
  t.deepEqual(
    all(moved).filter((feature) => found.includes(feature)),
    found,
  );
  const other = all(data, seededRandom(3).bytes(GEAR_BYTES));
  t.deepEqual(
    other.filter((feature) => found.includes(feature)),
    [],
    'another key finds others',
  );
});

test('the least feature of the first eighth of each span is kept', (t) => {
  const data = seededRandom(4).bytes(5 * 65_536 + 1000);
  const spans = [0, 1, 2, 3, 4, 5].map((n) => data.subarray(n * 65_536, n * 65_536 + 8192));
  const wanted = spans.flatMap((span) => expected(span).sort((a, b) => (a < b ? -1 : 1))[0] ?? []);
  t.deepEqual(least(data, 65_536), wanted);
  t.true(wanted.length >= 5);
  t.deepEqual(
    least(data, 65_536).filter((feature) => all(data).includes(feature)),
    wanted,
    'a look at all of the content finds them',
  );
});

test('a run of one byte has one feature at most, and the room is never exceeded', (t) => {
  for (let byte = 0; byte < 256; byte += 1) t.true(all(Buffer.alloc(10_000, byte)).length <= 1);
  const data = seededRandom(5).bytes(MIB);
  const into = Buffer.alloc(23, 0xee);
  t.is(native.allFeatures(gear, data, data.length, into), 20);
  t.is(into.toString('hex', 20), 'eeeeee');
  t.is(native.leastFeatures(gear, data, data.length, 1024, into), 20);
  t.deepEqual(
    [all(Buffer.alloc(0)), all(data.subarray(0, 63)), least(data.subarray(0, 63), 8)],
    [[], [], []],
  );
});

test('wrong arguments are refused', (t) => {
  const data = Buffer.alloc(100);
  const into = Buffer.alloc(10);
  const wrong = [
    () => native.allFeatures(gear.subarray(1), data, 100, into),
    () => native.allFeatures(gear, data, 101, into),
    () => native.leastFeatures(gear, data, 101, 64, into),
    () => native.leastFeatures(gear, data, 100, 0, into),
    () => native.leastFeatures(Buffer.alloc(0), data, 100, 64, into),
  ];
  for (const call of wrong) t.is(thrownCode(call), 'EINVAL');
});
