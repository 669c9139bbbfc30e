/** Which contents are decoded alone. */
import { LoneContents } from '../../src/contents/index.js';
import test from 'ava';

/** Records that are remembered (MAX_RECENT of src/mount/lone-contents.ts). */
const REMEMBERED = 16;

test('the first content of a record is decoded alone, again too, and another one is not', (t) => {
  const lone = new LoneContents();
  t.true(lone.take('pack@1', 7));
  t.true(lone.take('pack@1', 7));
  t.false(lone.take('pack@1', 8));
  t.false(lone.take('pack@1', 9));
  t.true(lone.take('pack@2', 8));
});

test('a record is forgotten after many others', (t) => {
  const lone = new LoneContents();
  lone.take('first', 0);
  for (let other = 1; other < REMEMBERED; other += 1) lone.take(`other ${other}`, 0);
  t.false(lone.take('first', 1));
  lone.take('one more', 0);
  t.true(lone.take('first', 1));
});
