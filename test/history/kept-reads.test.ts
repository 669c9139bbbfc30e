/** Ranges of a far store that are read again come from the temporary file, and are right whatever happens to it. */
import test from 'ava';
import * as fc from 'fast-check';
import { KeptReads } from '../../src/history/index.js';
import { JoinedReads } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { noise } from '../helpers/tree.js';
import { inlineSystem } from '../helpers/inline.js';
import { seededRandom } from '../support/seeded-random.js';

const OBJECT = 'packs/1';
const RANGE_BYTES = 100;
const RANGES = 12;

/** A store that counts how often each position is fetched. */
class FarStore {
  readonly fetched: number[] = [];
  fails = false;

  async read(_name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    this.fetched.push(position);
    await Promise.resolve();
    if (this.fails) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    for (let at = 0; at < bytes; at += 1) target[at] = (position + at * 7) & 0xff;
    return bytes;
  }

  close(): void {}
}

async function readAt(reads: KeptReads, position: number): Promise<boolean> {
  const target = Buffer.alloc(RANGE_BYTES);
  const got = await reads.read(OBJECT, position, target, RANGE_BYTES);
  return got === RANGE_BYTES && target.every((byte, at) => byte === ((position + at * 7) & 0xff));
}

/** Returns the items in a random order. */
function shuffled<T>(random: ReturnType<typeof seededRandom>, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}

/** Returns a system in which some calls on files are replaced. */
function withFiles(change: Partial<System['files']>): System {
  return inlineSystem({ files: { ...nodeSystem().files, ...change } });
}

test('each read gets its bytes, whatever the size of the file, and what fits is fetched once', async (t) => {
  const reads = fc.array(fc.nat(RANGES - 1), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(reads, fc.nat(RANGES + 1), async (order, room) => {
      const store = new FarStore();
      const kept = new KeptReads(inlineSystem(), store, room * RANGE_BYTES);
      for (const range of order) t.true(await readAt(kept, range * RANGE_BYTES));
      if (room >= RANGES) t.is(store.fetched.length, new Set(order).size);
      kept.close();
    }),
  );
});

test('reads of a range at the same time fetch it once; after an error, each fetches it', async (t) => {
  const store = new FarStore();
  const kept = new KeptReads(inlineSystem(), store);
  t.deepEqual(await Promise.all([readAt(kept, 0), readAt(kept, 0), readAt(kept, 0)]), [
    true,
    true,
    true,
  ]);
  t.is(store.fetched.length, 1);
  store.fails = true;
  const both = [rejectedCode(readAt(kept, 500)), rejectedCode(readAt(kept, 500))];
  t.deepEqual(await Promise.all(both), ['EIO', 'EIO']);
  kept.close();
});

test('a range of which the caller says that it is spent is not kept', async (t) => {
  const store = new FarStore();
  const kept = new KeptReads(inlineSystem(), store);
  const place = { object: OBJECT, position: 0 };
  await kept.readInto(Buffer.alloc(RANGE_BYTES), place, () => false);
  t.true(await readAt(kept, 0));
  t.is(store.fetched.length, 2);
  kept.close();
});

const full = (): never => {
  throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
};
const BROKEN: Readonly<Record<string, Partial<System['files']>>> = {
  'cannot be made': { open: full },
  'cannot be written': { write: full },
  'cannot be read': { read: full },
  'has other bytes': {
    read: (_fd, target, _at, bytes) => {
      target.fill(1);
      return bytes;
    },
  },
  'would take the last of the disk': { freeBytes: () => RANGE_BYTES },
};

for (const [what, change] of Object.entries(BROKEN)) {
  test(`if the temporary file ${what}, ranges are fetched again`, async (t) => {
    const store = new FarStore();
    const kept = new KeptReads(withFiles(change), store);
    t.deepEqual([await readAt(kept, 0), await readAt(kept, 0)], [true, true]);
    t.is(store.fetched.length, 2);
    kept.close();
  });
}

test('announced records of a bucket are fetched once, whatever is announced together, and in whatever order they are read', async (t) => {
  const KIB = 1 << 10;
  const noisy = noise(5, 4 << 20);
  const bytes = Buffer.concat([noisy, noisy]);
  const size = fc.integer({ min: 20, max: 1500 });
  const shape = fc.record({
    // Sizes of the records, and how many of them are announced together.
    records: fc.array(size, { minLength: 25, maxLength: 50 }),
    together: fc.integer({ min: 1, max: 20 }),
    // The last ones are announced while others are read.
    later: fc.nat(20),
    atOnce: fc.integer({ min: 1, max: 6 }),
    seed: fc.nat(1000),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ records, together, later, atOnce, seed }) => {
      let fetchedBytes = 0;
      const joined = new JoinedReads(async (_name, position, target, wanted) => {
        fetchedBytes += wanted;
        await new Promise((resolve) => setImmediate(resolve));
        const at = position % noisy.length;
        return bytes.copy(target, 0, at, at + wanted);
      });
      const kept = new KeptReads(inlineSystem(), {
        read: (...values) => joined.read(...values),
        expect: (ranges) => joined.expect(ranges),
        close: () => joined.clear(),
      });
      let position = 0;
      const ranges = records.map((kib) => {
        const range = { object: OBJECT, position, bytes: kib * KIB };
        position += range.bytes;
        return range;
      });
      const random = seededRandom(seed);
      const order = shuffled(random, [...ranges, ...ranges]);
      const announced = [...ranges];
      while (announced.length > later) kept.expect!(announced.splice(0, together));
      let next = 0;
      const read = async (): Promise<void> => {
        for (let range = order[next]; range !== undefined; range = order[next]) {
          next += 1;
          if (order.length - next < announced.length + ranges.length) {
            kept.expect!(announced.splice(0, together));
          }
          kept.expect!([range]);
          const target = Buffer.alloc(range.bytes);
          await kept.read(OBJECT, range.position, target, range.bytes);
          const at = range.position % noisy.length;
          t.is(target.compare(bytes, at, at + range.bytes), 0);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, read));
      kept.close();
      t.true(fetchedBytes <= position * 1.05, `${fetchedBytes} of ${position} bytes`);
    }),
    { numRuns: 30, endOnFailure: true },
  );
});
