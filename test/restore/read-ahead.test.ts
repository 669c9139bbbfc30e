/** Records that are read before a job requests them. */
import test from 'ava';
import { ReadAhead } from '../../src/restore/index.js';
import { rejectedCode } from '../helpers/codes.js';

const PIECE_BYTES = 512 << 10;
const WINDOW_PIECES = 8;
const OBJECT = 'packs/1';

interface Call {
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
}

/** A store whose byte at each position follows from the position; it has `sizeBytes` bytes in each object. */
class FakeStore {
  readonly calls: Call[] = [];
  failsAt: number | undefined;
  /** Position of a read that returns half of its bytes. */
  shortAt: number | undefined;
  private readonly sizeBytes: number;

  constructor(sizeBytes = Infinity) {
    this.sizeBytes = sizeBytes;
  }

  async read(object: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    this.calls.push({ object, position, bytes });
    if (position === this.failsAt) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    const most = position === this.shortAt ? bytes / 2 : bytes;
    const got = Math.max(0, Math.min(most, this.sizeBytes - position));
    for (let at = 0; at < got; at += 1) target[at] = byteAt(position + at);
    return got;
  }

  close(): void {
    throw new Error('the reader is not closed by those who read ahead');
  }
}

function byteAt(position: number): number {
  return (position * 7 + (position >> 8)) & 0xff;
}

async function readIn(ahead: ReadAhead, position: number, bytes: number): Promise<Buffer> {
  const target = Buffer.alloc(bytes);
  return target.subarray(0, await ahead.read(OBJECT, position, target, bytes));
}

function bytesOf(position: number, bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_none, at) => byteAt(position + at)));
}

test('a record is read once, a large one in pieces, and each request of it gets its bytes', async (t) => {
  const store = new FakeStore();
  const recordBytes = WINDOW_PIECES * PIECE_BYTES + 100;
  const ahead = new ReadAhead(store, [{ object: OBJECT, position: 1000, recordBytes }]);
  const pieces = Array.from({ length: WINDOW_PIECES }, (_none, index) => ({
    object: OBJECT,
    position: 1000 + index * PIECE_BYTES,
    bytes: PIECE_BYTES,
  }));
  t.deepEqual(store.calls, pieces);
  t.deepEqual(await readIn(ahead, 1000, 72), bytesOf(1000, 72), 'a header first');
  const edge = 1000 + PIECE_BYTES - 10;
  t.deepEqual(await readIn(ahead, edge, 20), bytesOf(edge, 20), 'across two pieces');
  t.is(store.calls.length, WINDOW_PIECES + 1, 'the last piece, once the first one was taken');
  const small = new FakeStore();
  const range = { object: OBJECT, position: 1000, recordBytes: PIECE_BYTES + 100 };
  const whole = new ReadAhead(small, [range]);
  t.deepEqual(await readIn(whole, edge, 20), bytesOf(edge, 20));
  t.deepEqual(small.calls, [{ object: OBJECT, position: 1000, bytes: PIECE_BYTES + 100 }]);
});

test('a request outside of the announced records goes to the store', async (t) => {
  const store = new FakeStore();
  const ahead = new ReadAhead(store, [{ object: OBJECT, position: 100, recordBytes: 50 }]);
  for (const [position, bytes] of [
    [90, 20], // begins before
    [140, 20], // ends behind
    [500, 5],
  ] as const) {
    const before = store.calls.length;
    t.deepEqual(await readIn(ahead, position, bytes), bytesOf(position, bytes));
    t.deepEqual(store.calls.slice(before), [{ object: OBJECT, position, bytes }]);
  }
  const other = Buffer.alloc(10);
  t.is(await ahead.read('packs/2', 100, other, 10), 10, 'the position is of another object');
  t.is(store.calls.at(-1)?.object, 'packs/2');
});

test('at most the window is held; more is read as it is taken', async (t) => {
  const store = new FakeStore();
  const count = 3 * WINDOW_PIECES;
  const ranges = Array.from({ length: count }, (_none, index) => ({
    object: OBJECT,
    position: index * PIECE_BYTES,
    recordBytes: PIECE_BYTES,
  }));
  const ahead = new ReadAhead(store, ranges);
  t.is(store.calls.length, WINDOW_PIECES);
  const target = Buffer.alloc(PIECE_BYTES);
  for (let index = 0; index < 3; index += 1) {
    await ahead.read(OBJECT, index * PIECE_BYTES, target, PIECE_BYTES);
    t.is(store.calls.length, WINDOW_PIECES + index + 1);
  }
  ahead.close();
  await ahead.read(OBJECT, 20 * PIECE_BYTES, target, 1);
  t.is(store.calls.length, WINDOW_PIECES + 4, 'a closed reader requests nothing ahead');
});

test('a record that may not be needed is read only when it is requested', async (t) => {
  const store = new FakeStore();
  const perhaps = { object: OBJECT, position: 5000, recordBytes: 1000 };
  const ahead = new ReadAhead(store, [{ object: OBJECT, position: 0, recordBytes: 10 }], [perhaps]);
  t.deepEqual(store.calls, [{ object: OBJECT, position: 0, bytes: 10 }]);
  t.deepEqual(await readIn(ahead, 5000, 72), bytesOf(5000, 72));
  t.deepEqual(store.calls[1], { object: OBJECT, position: 5000, bytes: 1000 }, 'all of it at once');
  t.deepEqual(await readIn(ahead, 5072, 900), bytesOf(5072, 900));
  t.is(store.calls.length, 2);
});

test('a failed or short read is reported where the bytes are requested, and nowhere else', async (t) => {
  const store = new FakeStore();
  store.failsAt = PIECE_BYTES;
  const recordBytes = 3 * PIECE_BYTES;
  const ahead = new ReadAhead(store, [{ object: OBJECT, position: 0, recordBytes }]);
  t.is((await readIn(ahead, 0, 10)).length, 10);
  t.is(await rejectedCode(readIn(ahead, PIECE_BYTES + 1, 10)), 'EIO');
  t.deepEqual(await readIn(ahead, 2 * PIECE_BYTES, 10), bytesOf(2 * PIECE_BYTES, 10));

  // A failed read that is never requested would fail this test if it were not handled.
  new ReadAhead(store, [{ object: OBJECT, position: PIECE_BYTES, recordBytes: 10 }]).close();

  const target = Buffer.alloc(recordBytes);
  const range = { object: OBJECT, position: 0, recordBytes };
  const cut = new ReadAhead(new FakeStore(PIECE_BYTES + 7), [range]);
  t.is(await cut.read(OBJECT, 0, target, recordBytes), PIECE_BYTES + 7);
  const holed = new FakeStore();
  holed.shortAt = PIECE_BYTES;
  const gap = new ReadAhead(holed, [range]);
  const got = await gap.read(OBJECT, 0, target, recordBytes);
  t.is(got, 1.5 * PIECE_BYTES, 'no bytes from behind a gap');
});
