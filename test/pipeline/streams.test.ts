/** Slots of the parts of large files, and their windows of the budget. */
import test from 'ava';
import { Budget, Counters, PartSlot, Streams } from '../../src/pipeline/index.js';
import { settle, SETTINGS } from '../helpers/pipelines.js';

const MIB = 1 << 20;

/** Returns streams for one part at once, with windows of 2 MiB. */
function oneAtOnce(): { streams: Streams; budget: Budget } {
  const budget = new Budget(4 * MIB, 10);
  const counters = new Counters({ ...SETTINGS, streamConcurrency: 1 });
  return { streams: new Streams(budget, counters), budget };
}

for (const isKept of [true, false]) {
  const title = isKept
    ? 'a part that keeps its slot lets no other in between its readings'
    : 'a part that gives its slot back lets another in between its readings';
  test(title, async (t) => {
    const { streams, budget } = oneAtOnce();
    const read: string[] = [];
    const [one, other] = [
      new PartSlot(streams, 8 * MIB, isKept),
      new PartSlot(streams, 8 * MIB, false),
    ];
    await one.reading(async () => {
      read.push('one');
      t.is(budget.bytes.used, 2 * MIB);
    });
    const waiting = other.reading(async () => void read.push('other'));
    await settle();
    t.deepEqual(read, isKept ? ['one'] : ['one', 'other']);
    await one.reading(async () => void read.push('one again'));
    one.leave();
    one.leave(); // a second time does nothing
    await waiting;
    const inTurn = ['one', 'one again', 'other'];
    t.deepEqual(read, isKept ? inTurn : ['one', 'other', 'one again']);
    t.is(budget.bytes.used, 0);
  });
}

test('a reading that fails frees its slot', async (t) => {
  const { streams, budget } = oneAtOnce();
  const failing = new PartSlot(streams, MIB, false);
  await t.throwsAsync(failing.reading(() => Promise.reject(new Error('unreadable'))));
  t.is(budget.bytes.used, 0);
  t.is(await new PartSlot(streams, MIB, false).reading(async () => 'next'), 'next');
});
