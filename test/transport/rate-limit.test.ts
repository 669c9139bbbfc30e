/** The token bucket and the rates, with a manual clock. */
import test from 'ava';
import { parseRates, rateAt } from '../../src/config/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { RateLimit } from '../../src/transport/index.js';
import { thrownCode } from '../helpers/codes.js';

const KIB = 1 << 10;
const MINUTE_MS = 60_000;

/** Returns a clock at a local time, so that the test holds in every time zone. */
function clockAt(hour: number, minute: number): ManualClock {
  return new ManualClock(new Date(2026, 4, 17, hour, minute).getTime());
}

/** Sends messages for a time, as a sender does; returns the bytes sent. */
function sendFor(limit: RateLimit, clock: ManualClock, ms: number, messageBytes: number): number {
  const endMs = clock.monotonicMs() + ms;
  let bytes = 0;
  while (clock.monotonicMs() < endMs) {
    const waitMs = limit.waitMs();
    if (waitMs > 0) clock.advance(waitMs);
    else {
      limit.spend(messageBytes);
      bytes += messageBytes;
    }
  }
  return bytes;
}

test('over a minute the rate holds, whatever the messages are', (t) => {
  for (const messageBytes of [100, 3 * KIB, 500 * KIB]) {
    const clock = clockAt(12, 0);
    const limit = new RateLimit(clock, parseRates('100K', 'test'));
    const bytes = sendFor(limit, clock, MINUTE_MS, messageBytes);
    const wanted = 60 * 100 * KIB;
    t.true(bytes >= wanted * 0.95, `${bytes} of ${wanted}, messages of ${messageBytes}`);
    t.true(bytes <= wanted * 1.01 + messageBytes + 25 * KIB, `${bytes} of ${wanted}`);
  }
});

test('a pause saves up a quarter of a second, not more', (t) => {
  const clock = clockAt(12, 0);
  const limit = new RateLimit(clock, parseRates('1M', 'test'));
  clock.advance(3_600_000);
  let bytes = 0;
  while (limit.waitMs() === 0) {
    limit.spend(10 * KIB);
    bytes += 10 * KIB;
  }
  t.true(bytes >= 256 * KIB && bytes <= 266 * KIB, String(bytes));
});

test('a wait is never longer than a second, so that a new period is seen', (t) => {
  const clock = clockAt(7, 59);
  const limit = new RateLimit(clock, parseRates('07:00-08:00=1K,*=none', 'test'));
  limit.spend(100 << 20);
  t.is(limit.waitMs(), 1000);
  clock.advance(MINUTE_MS);
  t.is(limit.waitMs(), 0, 'from 8:00 on there is no limit');
  limit.spend(100 << 20);
  t.is(limit.waitMs(), 0);
});

test('the rate follows the time of day, and what was free is not owed', (t) => {
  const clock = clockAt(17, 59);
  const limit = new RateLimit(clock, parseRates('08:00-18:00=none, *=10K', 'test'));
  t.is(limit.waitMs(), 0);
  limit.spend(1 << 30);
  clock.advance(MINUTE_MS);
  const bytes = sendFor(limit, clock, MINUTE_MS, KIB);
  t.true(bytes >= 590 * KIB && bytes <= 620 * KIB, String(bytes));
});

test('a clock that jumps back gives nothing away', (t) => {
  const clock = clockAt(12, 0);
  const limit = new RateLimit(clock, parseRates('10K', 'test'));
  limit.spend(100 * KIB);
  const waitMs = limit.waitMs();
  clock.jumpTo(0);
  t.is(limit.waitMs(), waitMs);
});

test('of periods the first that fits holds, also over midnight', (t) => {
  const rates = parseRates('22:00-06:00=none,08:00-18:00=500K,12:00-24:00=2M,*=5M', 'test');
  const at = (hour: number, minute = 0): number | undefined => rateAt(rates, hour * 60 + minute);
  t.deepEqual([at(22), at(23, 59), at(0), at(5, 59)], [undefined, undefined, undefined, undefined]);
  t.deepEqual([at(6), at(7, 59)], [5120 * KIB, 5120 * KIB]);
  t.deepEqual([at(8), at(17, 59), at(18), at(21)], [512_000, 512_000, 2 << 20, 2 << 20]);
});

test('what is no rate is refused', (t) => {
  const wrong = [
    '',
    'fast',
    '0',
    '1023',
    '2T',
    '1M,2M',
    '*=1M,',
    '08:00-18:00',
    '08:00-18:00=',
    '8:00-18:00=1M',
    '08:00-24:01=1M',
    '08:60-09:00=1M',
    '24:00-08:00=1M',
    '08:00-08:00=1M',
    '08:00-09:00=1M=2M',
    '-1M',
    Array.from({ length: 49 }, () => '*=1M').join(),
  ];
  for (const text of wrong) {
    t.is(
      thrownCode(() => parseRates(text, 'test')),
      'CONFIG_INVALID',
      text,
    );
  }
});
