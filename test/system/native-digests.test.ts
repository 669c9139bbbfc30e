/** Digests that the addon computes of several contents at once are those of OpenSSL. */
import { createHash } from 'node:crypto';
import test from 'ava';
import { CONTENT_ROW_BYTES, loadNative } from '../../src/system/index.js';
import { seed } from '../helpers/seed.js';
import { seededRandom } from '../support/seeded-random.js';

const native = loadNative();
const DIGEST_BYTES = 32;

type Place = readonly [offset: number, sizeBytes: number];

/** Returns the rows of contents, without their digests. */
function rowsOf(places: readonly Place[]): Buffer {
  const rows = Buffer.alloc(places.length * CONTENT_ROW_BYTES);
  for (const [index, [offset, sizeBytes]] of places.entries()) {
    const at = index * CONTENT_ROW_BYTES + DIGEST_BYTES;
    rows.writeUInt32LE(offset, at);
    rows.writeUInt32LE(sizeBytes, at + 4);
  }
  return rows;
}

/** Returns the rows with digests by OpenSSL. */
function expectedOf(bytes: Buffer, places: readonly Place[]): Buffer {
  const rows = rowsOf(places);
  for (const [index, [offset, sizeBytes]] of places.entries()) {
    const part = bytes.subarray(offset, offset + sizeBytes);
    createHash('sha256')
      .update(part)
      .digest()
      .copy(rows, index * CONTENT_ROW_BYTES);
  }
  return rows;
}

function areRight(bytes: Buffer, places: readonly Place[]): boolean {
  const rows = rowsOf(places);
  native.digestContents(bytes, rows);
  return rows.equals(expectedOf(bytes, places));
}

test('of every length up to five blocks, beside contents of every other length', (t) => {
  const bytes = seededRandom(seed).bytes(4000);
  for (let size = 0; size <= 320; size += 1) {
    for (const other of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 3000]) {
      const places: Place[] = [
        [size % 17, size],
        [other % 13, other],
      ];
      if (!areRight(bytes, places)) t.fail(`${size} and ${other} bytes`);
    }
  }
  t.pass();
});

test('of any number of contents, wherever they are, in their order', (t) => {
  t.log(`TEST_SEED=${seed}`);
  const random = seededRandom(seed);
  const bytes = random.bytes(200_000);
  for (let run = 0; run < 300; run += 1) {
    const places: Place[] = Array.from({ length: run % 200 }, () => {
      const offset = random.bytes(4).readUInt32LE() % bytes.length;
      const most = random.bytes(1)[0]! % 4 === 0 ? 40_000 : 700;
      const sizeBytes = random.bytes(4).readUInt32LE() % most;
      return [offset, Math.min(sizeBytes, bytes.length - offset)];
    });
    if (!areRight(bytes, places)) t.fail(`run ${run}`);
  }
  t.pass();
});

test('several large contents of different lengths', (t) => {
  const bytes = seededRandom(seed).bytes(3 << 20);
  t.true(
    areRight(bytes, [
      [0, bytes.length],
      [1, 64],
      [2, 1 << 20],
      [3, 0],
      [4, (2 << 20) + 1],
    ]),
  );
  t.true(areRight(bytes, [[0, bytes.length]]));
  t.true(areRight(bytes, []));
});

test('a known digest', (t) => {
  const rows = rowsOf([
    [0, 3],
    [0, 0],
  ]);
  native.digestContents(Buffer.from('abc'), rows);
  t.is(
    rows.toString('hex', 0, DIGEST_BYTES),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  t.is(
    rows.toString('hex', CONTENT_ROW_BYTES, CONTENT_ROW_BYTES + DIGEST_BYTES),
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
});

test('contents outside of the bytes, and incomplete rows, are refused', (t) => {
  const bytes = Buffer.alloc(100);
  const far = 0xffff_ffff;
  const wrong: Place[] = [
    [0, 101],
    [101, 0],
    [50, 51],
    [far, 0],
    [0, far],
    [far, far],
    [1, far],
  ];
  for (const place of wrong) {
    t.throws(() => native.digestContents(bytes, rowsOf([[0, 10], place])), { code: 'EINVAL' });
  }
  for (const length of [1, CONTENT_ROW_BYTES - 1, CONTENT_ROW_BYTES + 1]) {
    t.throws(() => native.digestContents(bytes, Buffer.alloc(length)), { code: 'EINVAL' });
  }
  t.throws(() => native.digestContents([1] as unknown as Uint8Array, Buffer.alloc(0)), {
    code: 'EINVAL',
  });
  t.notThrows(() =>
    native.digestContents(
      bytes,
      rowsOf([
        [100, 0],
        [0, 100],
      ]),
    ),
  );
});

test('of bytes that come in parts, here or on another thread', async (t) => {
  const random = seededRandom(seed);
  const bytes = random.bytes(300_000);
  for (let round = 0; round < 50; round += 1) {
    const state = native.sha256Begin();
    let at = 0;
    while (at < bytes.length) {
      const end = at + Math.floor(random.next() ** 4 * 200_000);
      await native.sha256Part(state, bytes.subarray(at, end), round % 2 === 0);
      at = end;
    }
    const expected = createHash('sha256').update(bytes).digest();
    t.true(native.sha256End(state).equals(expected), `seed ${seed}`);
    t.true(native.sha256End(state).equals(expected), 'the state is not used up');
  }
});

test('a state that is none is refused', (t) => {
  const state = native.sha256Begin();
  for (const bad of [state.subarray(1), Buffer.alloc(state.length), Buffer.alloc(0)]) {
    t.throws(() => native.sha256End(bad), { code: 'EINVAL' });
    t.throws(() => native.sha256Part(bad, state, false), { code: 'EINVAL' });
  }
});
