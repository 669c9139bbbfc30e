/** The memory in which jobs make records. */
import test from 'ava';
import { RecordMemory } from '../../src/workers/index.js';

test('records leave in memory of their size, and the next job uses the old memory', (t) => {
  const memory = new RecordMemory();
  const room = memory.room(1000);
  room.fill(1, 0, 10);
  const records = memory.leave(room.subarray(0, 10));
  t.is(records.buffer.byteLength, 10);
  t.is(memory.room(1000).buffer, room.buffer);
  memory.room(10).fill(2);
  t.deepEqual(records, Buffer.alloc(10, 1), 'the next job does not write into them');
});

test('memory that is too small is freed', (t) => {
  const memory = new RecordMemory();
  const room = memory.room(1000);
  t.true(memory.room(2000).length >= 2000);
  t.is(room.length, 0);
});

test('other memory, to which the records outgrew it, takes its place', (t) => {
  const memory = new RecordMemory();
  const room = memory.room(1000);
  const larger = Buffer.allocUnsafeSlow(2000).fill(3);
  t.deepEqual(memory.leave(larger.subarray(0, 1500)), Buffer.alloc(1500, 3));
  t.is(room.length, 0);
  t.is(memory.room(2000).buffer, larger.buffer);
});

test('large memory is not kept, and none after the end', (t) => {
  const memory = new RecordMemory();
  const large = memory.room((3 << 20) + 1);
  t.is(memory.leave(large.subarray(0, 5)).length, 5);
  t.is(large.length, 0);
  const room = memory.room(1000);
  memory.release();
  t.is(room.length, 0);
});
