/** Times in the rules of retention and in requests to forget a path. */
import test from 'ava';
import { spanOf } from '../../src/retention/index.js';

const DAY_MS = 86_400_000;

test('a time in a rule takes the units of a date', (t) => {
  t.is(spanOf('12h'), DAY_MS / 2);
  t.is(spanOf('3d'), 3 * DAY_MS);
  t.is(spanOf('2W'), 14 * DAY_MS);
  t.is(spanOf('6mo'), 6 * 31 * DAY_MS);
  t.is(spanOf('6m'), 6 * 31 * DAY_MS);
  t.is(spanOf('1y'), 366 * DAY_MS);
  for (const wrong of ['6mon', '6o', 'mo', '6', '']) {
    t.throws(() => spanOf(wrong), { code: 'CONFIG_INVALID' }, wrong);
  }
});
