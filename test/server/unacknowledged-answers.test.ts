import test from 'ava';
import { UnacknowledgedAnswers } from '../../src/server/index.js';

test('answers are kept in their order until they are acknowledged', (t) => {
  const kept = new UnacknowledgedAnswers();
  const answers = [1, 2, 3, 4].map((bytes) => Buffer.alloc(bytes));
  for (const answer of answers) kept.keep(answer);
  t.is(kept.bytes, 10);
  kept.acknowledge(0);
  kept.acknowledge(2);
  t.deepEqual(kept.unacknowledged, answers.slice(2));
  t.is(kept.bytes, 7);
  for (const wrong of [0, 1, 5, 1e9]) {
    t.throws(() => kept.acknowledge(wrong), { code: 'PROTOCOL_VIOLATION' }, `${wrong}`);
  }
  kept.acknowledge(4);
  t.deepEqual([kept.unacknowledged.length, kept.bytes], [0, 0]);
});
