/** Tests of reading in the contract of src/store/backends/backend.ts, for every backend, also those that write nothing. */
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { type Backend, packName } from '../../src/store/index.js';
import { rejectedCode } from '../helpers/codes.js';

const FIRST = packName(2_000_001);
const SECOND = packName(2_000_002);
const MISSING = packName(2_000_003);

/** Returns a backend with these packs, which are all that it contains. */
export type WithPacks = (
  t: ExecutionContext,
  packs: ReadonlyMap<string, Buffer>,
) => Promise<Backend>;

/** Appends packs to a backend in small pieces, and returns it. */
export function filled(backend: Backend, packs: Iterable<readonly [string, Buffer]>): Backend {
  for (const [name, bytes] of packs) {
    const writer = backend.create(name);
    for (let at = 0; at < bytes.length; at += 999) writer.append(bytes.subarray(at, at + 999));
    writer.close();
  }
  return backend;
}

/** Declares the tests. */
export function objectReaderSuite(make: WithPacks): void {
  test('reading a pack gives what is requested, and less only at the end', async (t) => {
    const content = randomBytes(300_000);
    const backend = await make(t, new Map([[FIRST, content]]));
    for (const [position, bytes, expected] of [
      [0, 300_000, 300_000],
      [0, 0, 0],
      [998, 3, 3],
      [4321, 5000, 5000],
      [70_000, 200_000, 200_000],
      [299_990, 100, 10],
      [300_000, 1, 0],
      [400_000, 5, 0],
    ] as const) {
      const target = Buffer.alloc(bytes + 1, 0xaa);
      t.is(await backend.read(FIRST, position, target, bytes), expected, `${position}`);
      t.deepEqual(target.subarray(0, expected), content.subarray(position, position + expected));
      t.true(target.subarray(expected).every((byte) => byte === 0xaa));
    }
  });

  test('a pack that does not exist has no size, and reading it is refused', async (t) => {
    const backend = await make(t, new Map([[FIRST, Buffer.from('x')]]));
    t.is(await backend.size(MISSING), undefined);
    t.is(await rejectedCode(backend.read(MISSING, 0, Buffer.alloc(1), 1)), 'ENOENT');
    t.is(await backend.size(FIRST), 1);
  });

  test('all packs are listed, sorted', async (t) => {
    const packs = new Map([
      [SECOND, Buffer.from('second')],
      [FIRST, Buffer.from('first')],
    ]);
    const backend = await make(t, packs);
    t.deepEqual(await backend.list('packs/'), [FIRST, SECOND]);
  });

  test('many reads at once do not mix their bytes, whether they were announced or not', async (t) => {
    const contents = new Map([
      [FIRST, randomBytes(200_000)],
      [SECOND, randomBytes(200_000)],
    ]);
    const backend = await make(t, contents);
    const ranges = Array.from({ length: 60 }, (_, index) => ({
      object: index % 2 === 0 ? FIRST : SECOND,
      position: (index * 37_811) % 190_000,
      bytes: 1 + ((index * 7919) % 9000),
    }));
    backend.expect?.(ranges.filter((_, index) => index % 3 !== 0));
    await Promise.all(
      ranges.map(async ({ object, position, bytes }) => {
        const target = Buffer.alloc(bytes);
        t.is(await backend.read(object, position, target, bytes), bytes);
        t.true(target.equals(contents.get(object)!.subarray(position, position + bytes)));
      }),
    );
  });

  test('a backend that reads can be closed at any time, and twice', async (t) => {
    const backend = await make(t, new Map([[FIRST, Buffer.from('x')]]));
    await backend.read(FIRST, 0, Buffer.alloc(1), 1);
    backend.close();
    t.notThrows(() => backend.close());
  });
}
