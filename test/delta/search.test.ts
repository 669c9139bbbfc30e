// Pace: slow
/** The search for blocks of a basis: what it must find, and that neither data nor a hostile basis makes it slow. */
import { spawnSync } from 'node:child_process';
import test from 'ava';
import {
  DeltaMaker,
  loadedBytesFor,
  LoadedSignature,
  MAX_BLOCKS,
  SignatureMaker,
} from '../../src/delta/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { loadNative } from '../../src/system/native.js';
import { makePair, patchOf, signatureOf } from '../helpers/deltas.js';
import { seed } from '../helpers/seed.js';
import { noise } from '../helpers/tree.js';

const native = loadNative();
const KIB = 1 << 10;
const MIB = 1 << 20;
const SUM_BYTES = 20;
const HEADER_BYTES = 12;

interface Search {
  readonly delta: Buffer;
  readonly commands: number;
  readonly literalBytes: number;
  /** Processor time of loading, indexing and comparing. */
  readonly busyMs: number;
}

/** Compares data, in pieces of these lengths in turn, with the signature of a basis. */
function search(
  signature: Buffer,
  basisBytes: number,
  data: Buffer,
  pieces: readonly number[] = [128 * KIB],
): Search {
  const start = process.cpuUsage();
  const loaded = new LoadedSignature(native, basisBytes);
  try {
    loaded.push(signature, true);
    using maker = new DeltaMaker(native, loaded.number, 64 * KIB);
    const made: Buffer[] = [];
    for (let at = 0, turn = 0; at < data.length; turn += 1) {
      const piece = data.subarray(at, at + pieces[turn % pieces.length]!);
      for (const part of maker.push(piece)) made.push(Buffer.from(part));
      at += piece.length;
    }
    for (const part of maker.finish()) made.push(Buffer.from(part));
    const { commands, literalBytes } = maker;
    const { user, system } = process.cpuUsage(start);
    return { delta: Buffer.concat(made), commands, literalBytes, busyMs: (user + system) / 1000 };
  } finally {
    loaded.close();
  }
}

function searchIn(basis: Buffer, data: Buffer, blockBytes: number): Search {
  return search(signatureOf(basis, blockBytes), basis.length, data);
}

test('blocks are hashed alone and several at once, with equal sums', (t) => {
  for (const blockBytes of [128, 256, 1000, 1024, 4096]) {
    const content = noise(`sums ${blockBytes}`, 9 * blockBytes + 77);
    const made = [1, 100, blockBytes, 4 * blockBytes, content.length].map((bytes) => {
      const maker = new SignatureMaker(native, blockBytes, content.length);
      for (let at = 0; at < content.length; at += bytes)
        maker.push(content.subarray(at, at + bytes));
      const signature = maker.finish();
      maker.close();
      return signature;
    });
    t.is(made[0]!.length, HEADER_BYTES + 10 * SUM_BYTES);
    for (const other of made) t.true(other.equals(made[0]!), String(blockBytes));
  }
});

test('a delta does not depend on the pieces in which the data comes', (t) => {
  const basis = noise('basis', MIB);
  const moved = [basis.subarray(600_000), noise('new', 70_000), basis.subarray(0, 600_000)];
  const edited = Buffer.concat(moved);
  for (let at = 5000; at < edited.length; at += 40_000) edited[at]! ^= 1;
  const pairs = [
    { before: basis, after: edited },
    { before: Buffer.alloc(MIB), after: Buffer.concat([Buffer.alloc(300_001), noise('in', 99)]) },
    ...Array.from({ length: 24 }, (_, n) => makePair(seed, n)),
  ];
  const random = seededRandom(seed);
  const uneven = Array.from({ length: 50 }, () => 1 + Math.floor(random.next() ** 4 * 300_000));
  for (const [index, { before, after }] of pairs.entries()) {
    for (const blockBytes of [256, 1000, 2048]) {
      const signature = signatureOf(before, blockBytes);
      const whole = search(signature, before.length, after, [after.length + 1]).delta;
      for (const pieces of [[1], [blockBytes], [MIB], uneven]) {
        const { delta } = search(signature, before.length, after, pieces);
        t.true(delta.equals(whole), `pair ${index} of seed ${seed}, blocks of ${blockBytes}`);
      }
    }
  }
});

test('the last block of a basis is found behind any number of new bytes, also if it is the only one', (t) => {
  for (const basisBytes of [1, 15, 16, 100, 255, 256, 257, 300, 1000]) {
    const basis = noise(`last ${basisBytes}`, basisBytes);
    for (let more = 0; more < 600; more += 7) {
      const data = Buffer.concat([noise(`before ${more}`, more), basis]);
      t.is(searchIn(basis, data, 256).literalBytes, more, `${more} before ${basisBytes}`);
    }
  }
});

test('constant data, edits and insertions take few commands and no bytes besides', (t) => {
  const zeros = Buffer.alloc(4 * MIB);
  t.true(searchIn(zeros, zeros, 1024).commands <= 2);
  t.true(searchIn(zeros, Buffer.alloc(3 * MIB + 500), 1024).literalBytes < 1024);
  const basis = noise('basis', 4 * MIB);
  const edited = Buffer.from(basis);
  for (let n = 0; n < 20; n += 1) edited[n * 200_000 + 100] = edited[n * 200_000 + 100]! ^ 1;
  const inPlace = searchIn(basis, edited, 1024);
  t.is(inPlace.literalBytes, 20 * 1024);
  t.is(inPlace.commands, 40);
  const inserted = Buffer.concat([
    basis.subarray(0, MIB),
    Buffer.from('more'),
    basis.subarray(MIB),
  ]);
  t.is(searchIn(basis, inserted, 1024).literalBytes, 4);
});

const WEAK_BASE = 0x0810_4225;

/** Returns the rolling sum of some bytes. */
function weakSum(bytes: Buffer): number {
  let sum = 1;
  for (const byte of bytes) sum = (Math.imul(sum, WEAK_BASE) + byte) | 0;
  return sum >>> 0;
}

/** Returns two blocks with equal rolling sums: among 300,000 random ends, some ten pairs have them. */
function colliding(blockBytes: number): [Buffer, Buffer] {
  const random = seededRandom(seed);
  const seen = new Map<number, Buffer>();
  const begin = noise('begin', blockBytes - 16);
  for (let n = 0; n < 300_000; n += 1) {
    const end = random.bytes(16);
    const sum = weakSum(end);
    const other = seen.get(sum);
    if (other !== undefined) return [Buffer.concat([begin, other]), Buffer.concat([begin, end])];
    seen.set(sum, end);
  }
  throw new Error('no two sums are equal');
}

test('other bytes with the rolling sum of a block are not taken for it', async (t) => {
  const [one, other] = colliding(256);
  t.false(one.equals(other));
  t.is(weakSum(one), weakSum(other));
  const around = noise('around', 1024);
  const basis = Buffer.concat([around, one, one, around]);
  const woven = Buffer.concat([around, other, one, around, other]);
  for (const [data, newBytes] of [[other, 256] as const, [woven, 512] as const]) {
    const { delta, literalBytes } = searchIn(basis, data, 256);
    t.is(literalBytes, newBytes);
    t.true((await patchOf(basis, delta, data.length)).equals(data));
  }
  const both = Buffer.concat([one, other]);
  t.is(searchIn(both, Buffer.concat([other, one]), 256).literalBytes, 0, 'both are indexed');
});

/** Returns a signature with these rolling sums, and strong sums that no data has. */
function forged(blockBytes: number, blocks: number, weakOf: (block: number) => number): Buffer {
  const made = Buffer.alloc(HEADER_BYTES + blocks * SUM_BYTES);
  made.writeUInt32BE(0x72730147, 0);
  made.writeUInt32BE(blockBytes, 4);
  made.writeUInt32BE(16, 8);
  for (let block = 0; block < blocks; block += 1) {
    made.writeUInt32BE(weakOf(block), HEADER_BYTES + block * SUM_BYTES);
    made.writeUInt32BE(block + 1, HEADER_BYTES + block * SUM_BYTES + 4);
  }
  return made;
}

/** How many times longer a hostile basis may take. Without a bound, it takes thousands of times as long. */
const MOST_TIMES = 150;

test('a hostile basis, whose sums all want one place or all data, costs a bounded time', (t) => {
  const blockBytes = 2048;
  const data = Buffer.alloc(2 * MIB);
  const usual = (blocks: number): number => {
    const random = seededRandom(seed);
    const signature = forged(blockBytes, blocks, () => Math.floor(random.next() * 2 ** 32));
    return Math.max(10, search(signature, blocks * blockBytes, noise('data', data.length)).busyMs);
  };
  const ofZeros = weakSum(Buffer.alloc(blockBytes));
  const wanted = search(
    forged(blockBytes, 100, () => ofZeros),
    100 * blockBytes,
    data,
  );
  t.is(wanted.literalBytes, data.length);
  t.true(
    wanted.busyMs < MOST_TIMES * usual(100),
    `each position is a candidate: ${wanted.busyMs} ms`,
  );
  const most = 1 << 18;
  const crowded = search(
    forged(blockBytes, most, () => ofZeros),
    most * blockBytes,
    data,
  );
  t.true(crowded.busyMs < MOST_TIMES * usual(most), `one place is wanted: ${crowded.busyMs} ms`);
});

/** True under the sanitizers, which add to each allocation. */
const isSanitized = process.env['ASAN_OPTIONS'] !== undefined;

/** Prints the growth of a process of its own by a signature of random sums that is loaded and indexed. */
const GROWTH = `
import { DeltaMaker, LoadedSignature } from '${new URL('../../src/delta/index.js', import.meta.url).href}';
import { loadNative } from '${new URL('../../src/system/native.js', import.meta.url).href}';
const [native, blocks] = [loadNative(), Number(process.argv[1])];
const signature = Buffer.alloc(${HEADER_BYTES} + blocks * ${SUM_BYTES});
for (const [at, value] of [0x72730147, 2048, 16].entries()) signature.writeUInt32BE(value, 4 * at);
for (let at = ${HEADER_BYTES}; at < signature.length; at += ${SUM_BYTES}) {
  signature.writeUInt32BE(Math.imul(at, 0x9e3779b1) >>> 0, at);
  signature.writeUInt32BE(at, at + 4);
}
const beforeBytes = process.memoryUsage.rss();
const loaded = new LoadedSignature(native, blocks * 2048);
for (let at = 0; at < signature.length; at += 65536) {
  loaded.push(signature.subarray(at, at + 65536), at + 65536 >= signature.length);
}
new DeltaMaker(native, loaded.number, 1024).close();
console.log(process.memoryUsage.rss() - beforeBytes);
`;

test('a loaded signature takes the memory that is counted for it', (t) => {
  for (const blocks of [MAX_BLOCKS, MAX_BLOCKS / 2 + 1, MAX_BLOCKS / 2]) {
    const words = ['--input-type=module', '-e', GROWTH, String(blocks)];
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
    t.is(status, 0, stderr);
    const takenBytes = Number(stdout);
    t.true(takenBytes > loadedBytesFor(blocks) / 2, `${blocks} blocks: ${takenBytes}`);
    const mostBytes = isSanitized ? Infinity : loadedBytesFor(blocks) + 2 * MIB;
    t.true(takenBytes < mostBytes, `${blocks} blocks: ${takenBytes}`);
  }
  t.true(loadedBytesFor(MAX_BLOCKS) <= 19 * MIB);
});

test('a delta on a range of a basis copies from the place of the range', async (t) => {
  const basis = noise('the basis', 300_000);
  const [from, bytes] = [65_536, 100_077];
  const range = basis.subarray(from, from + bytes);
  const data = Buffer.concat([noise('new', 700), range.subarray(1000), range.subarray(0, 5000)]);
  const loaded = new LoadedSignature(native, basis.length, bytes, from);
  t.teardown(() => loaded.close());
  loaded.push(signatureOf(range, 512), true);
  using maker = new DeltaMaker(native, loaded.number, 64 * KIB);
  const made: Buffer[] = [];
  for (const part of maker.push(data)) made.push(Buffer.from(part));
  for (const part of maker.finish()) made.push(Buffer.from(part));
  t.true(maker.literalBytes < 3000);
  t.true((await patchOf(basis, Buffer.concat(made), data.length)).equals(data));
  // It must have one sum for each block of the range.
  const other = new LoadedSignature(native, basis.length, bytes + 512, from);
  t.teardown(() => other.close());
  t.throws(() => other.push(signatureOf(range, 512), true));
});
