/** Memory of archives: it is used again when a destination has taken the bytes, and not before. */
import test from 'ava';
import { PassedMemory } from '../../../src/web/archive/index.js';

const MIB = 1 << 20;

test('memory is given again after it was taken back, once', (t) => {
  const memory = new PassedMemory();
  const first = memory.copyOf(Buffer.from('first'));
  const second = memory.copyOf(Buffer.from('second'));
  t.not(second.buffer, first.buffer);
  memory.takeBack(first);
  memory.takeBack(first);
  const third = memory.copyOf(Buffer.from('third'));
  t.is(third.buffer, first.buffer);
  t.is(third.toString(), 'third');
  t.not(memory.copyOf(Buffer.from('fourth')).buffer, first.buffer);
  t.is(memory.copyOf(Buffer.alloc(3 * MIB, 'x')).toString('latin1', 3 * MIB - 2), 'xx');
});

test('bytes of other memory are left alone', (t) => {
  const memory = new PassedMemory();
  const joined = Buffer.concat([Buffer.alloc(MIB), Buffer.alloc(MIB)]);
  memory.takeBack(joined);
  t.not(memory.copyOf(Buffer.alloc(1)).buffer, joined.buffer);
});
