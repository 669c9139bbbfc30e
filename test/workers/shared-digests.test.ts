// Pace: slow
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { seededRandom } from '../support/seeded-random.js';
import { SharedDigests } from '../../src/workers/index.js';

const INDEX_URL = new URL('../../src/workers/index.js', import.meta.url).href;

/** Returns a digest by number, faster than a real one. Digests of different series are never equal. */
function digestOf(series: string, number: number): Buffer {
  const digest = Buffer.alloc(32);
  let mixed = number + series.length;
  for (let at = 0; at < 24; at += 4) {
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d) + at;
    mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a_2d39);
    digest.writeInt32LE(mixed ^ (mixed >>> 16), at);
  }
  digest.write(series, 24, 4);
  digest.writeInt32LE(number, 28);
  return digest;
}

test('a digest is known once it was added, in every thread that shares the memory', (t) => {
  const digests = SharedDigests.create(64);
  const other = new SharedDigests(digests.buffer);
  t.false(digests.has(digestOf('a', 1)));
  digests.add(digestOf('a', 1));
  t.true(digests.has(digestOf('a', 1)));
  t.true(other.has(digestOf('a', 1)));
  t.false(other.has(digestOf('a', 2)));
  t.is(other.added, 1);
  t.is(other.capacity, 64);
});

test('a digest that differs in any bit is another', (t) => {
  const digests = SharedDigests.create(8);
  const digest = digestOf('a', 1);
  digests.add(digest);
  for (let bit = 0; bit < 256; bit += 1) {
    const other = Buffer.from(digest);
    other[bit >> 3]! ^= 1 << (bit & 7);
    t.false(digests.has(other), `${bit}`);
  }
  t.true(digests.has(digest));
});

test('far over its capacity it forgets, but never knows what was not added', (t) => {
  const capacity = 1 << 14;
  const total = 200_000;
  const digests = SharedDigests.create(capacity);
  let wrong = 0;
  for (let number = 0; number < total; number += 1) {
    if (digests.has(digestOf('never', number))) wrong += 1;
    digests.add(digestOf('a', number));
    if (!digests.has(digestOf('a', number))) wrong += 1;
  }
  t.is(wrong, 0);
  t.is(digests.added, total);
  const known = (from: number, to: number): number => {
    let count = 0;
    for (let number = from; number < to; number += 1) {
      if (digests.has(digestOf('a', number))) count += 1;
    }
    return count;
  };
  t.true(known(total - 1000, total) > 500, 'what came last is mostly known');
  t.true(
    known(total - capacity / 2, total) > known(0, capacity / 2),
    'rather than what came first',
  );
});

test('well below its capacity it forgets next to nothing', (t) => {
  const digests = SharedDigests.create(1 << 12);
  const random = seededRandom(1);
  const added = Array.from({ length: 1 << 10 }, () => random.bytes(32));
  for (const digest of added) digests.add(digest);
  t.true(added.filter((digest) => digests.has(digest)).length >= added.length * 0.99);
});

test('digests of any bytes can be looked up, also in a view', (t) => {
  const digests = SharedDigests.create(16);
  const many = Buffer.concat([Buffer.alloc(3), Buffer.alloc(32), Buffer.alloc(32, 0xff)]);
  const [zeros, ones] = [many.subarray(3, 35), many.subarray(35)];
  t.false(digests.has(zeros), 'an empty slot is no digest of zeros');
  digests.add(zeros);
  digests.add(ones);
  t.true(digests.has(ones));
  t.true(digests.has(Buffer.alloc(32, 0xff)));
});

test('threads that add side by side never make a digest that was not added', async (t) => {
  const digests = SharedDigests.create(64);
  const workers = [0, 1].map(
    (series) =>
      new Worker(
        `const { parentPort, workerData } = require('node:worker_threads');
         import(workerData.url).then(({ SharedDigests }) => {
           const digests = new SharedDigests(workerData.buffer);
           let wrong = 0;
           for (let number = 0; number < 20000; number += 1) {
             const digest = Buffer.alloc(32, number % 251 + 1);
             digest.writeInt32LE(number, 28);
             digest[24] = workerData.series;
             digests.add(digest);
             digest[24] = 9;
             if (digests.has(digest)) wrong += 1;
           }
           parentPort.postMessage(wrong);
         });`,
        { eval: true, workerData: { url: INDEX_URL, buffer: digests.buffer, series } },
      ),
  );
  const results = await Promise.all(workers.map((worker) => once(worker, 'message')));
  await Promise.all(workers.map((worker) => worker.terminate()));
  t.deepEqual(results.flat(), [0, 0]);
  for (let number = 0; number < 20_000; number += 1) {
    const digest = Buffer.alloc(32, (number % 251) + 1);
    digest.writeInt32LE(number, 28);
    digest[24] = 9;
    if (digests.has(digest)) t.fail(`${number}`);
  }
  t.is(digests.added, 40_000);
});
