import test from 'ava';
import { BytesBuilder, isZeros, releaseAll, releaseMemory } from '../../src/model/index.js';

const MIB = 1 << 20;

function heldBytes(): number {
  return process.memoryUsage().arrayBuffers;
}

test('released memory is free at once, before the event loop turns', (t) => {
  const before = heldBytes();
  for (let index = 0; index < 100; index += 1) {
    const block = Buffer.allocUnsafeSlow(MIB);
    releaseMemory(block);
    if (block.length > 0) t.fail('a view still has bytes');
  }
  const held = heldBytes() - before;
  t.true(held < 10 * MIB, `${held} bytes are held`);
});

test('several are released together, one that is there twice too', (t) => {
  const [one, other] = [Buffer.allocUnsafeSlow(MIB), new Uint8Array(MIB)];
  releaseAll([one, other, one]);
  t.deepEqual([one.length, other.length], [0, 0]);
  t.notThrows(() => releaseAll([one, other]));
  t.notThrows(() => releaseAll([]));
});

test('what others may use is left alone', (t) => {
  const whole = Buffer.alloc(100, 7);
  const part = whole.subarray(10, 20);
  releaseMemory(part);
  t.is(part[0], 7);
  const shared = new Uint8Array(new SharedArrayBuffer(100));
  releaseMemory(shared);
  t.is(shared.length, 100);
});

test('a builder frees what it has outgrown, but not memory it was lent', (t) => {
  const memory = new Uint8Array(MIB);
  const lent = BytesBuilder.over(memory);
  lent.append(Buffer.alloc(2 * MIB, 1));
  t.is(memory.length, MIB);
  t.true(lent.take().equals(Buffer.alloc(2 * MIB, 1)));
  const before = heldBytes();
  const builder = new BytesBuilder(MIB);
  const piece = Buffer.alloc(MIB, 2);
  for (let index = 0; index < 33; index += 1) builder.append(piece);
  const bytes = builder.take();
  t.is(bytes.length, 33 * MIB);
  t.true(bytes.every((byte) => byte === 2));
  const held = heldBytes() - before;
  t.true(held < 40 * MIB, `${held} bytes are held`);
  t.is(builder.length, 0);
  builder.append(Buffer.from('again'));
  t.is(builder.take().toString(), 'again');
});

test('a builder takes over memory that is much, and comes first', (t) => {
  const builder = new BytesBuilder(MIB);
  const much = Buffer.allocUnsafeSlow(2 * MIB).fill(3);
  t.true(builder.adopt(much));
  t.is(builder.take().buffer, much.buffer);
  t.true(builder.adopt(much));
  builder.append(Buffer.from('more'));
  t.is(builder.take().length, 2 * MIB + 4);
  t.false(builder.adopt(Buffer.from('little')));
  const second = Buffer.allocUnsafeSlow(2 * MIB).fill(4);
  t.false(builder.adopt(second), 'it does not come first');
  const bytes = builder.take();
  t.is(bytes.subarray(0, 7).toString('latin1'), 'little\u0004');
  t.is(second.length, 2 * MIB);
});

test('a builder that is cleared frees its memory, and is used again', (t) => {
  const builder = new BytesBuilder(0);
  builder.append(Buffer.alloc(MIB, 1));
  const view = builder.view();
  builder.clear();
  t.deepEqual([builder.length, view.length], [0, 0]);
  builder.append(Buffer.from('again'));
  t.is(builder.take().toString(), 'again');
});

test('bytes are zeros if each of them is', (t) => {
  for (const sizeBytes of [0, 1, 2, 1000, MIB]) {
    const bytes = Buffer.alloc(sizeBytes);
    t.true(isZeros(bytes));
    for (const at of new Set([0, sizeBytes >> 1, sizeBytes - 1])) {
      if (at < 0 || at >= sizeBytes) continue;
      bytes[at] = 1;
      t.false(isZeros(bytes), `${at} of ${sizeBytes}`);
      bytes[at] = 0;
    }
  }
  t.false(isZeros(Buffer.alloc(10, 5)), 'equal bytes are no zeros');
});
