/** Rates by time of day: `1M`, or `08:00-18:00=500K,22:00-06:00=none,*=5M`. */
import { mustBe } from './invalid.js';
import { parseSize } from './sizes.js';

export interface RatePeriod {
  /** Minutes since midnight, local time; if `from` is greater than `to`, the period spans midnight. */
  readonly from: number;
  readonly to: number;
  /** Undefined for no limit. */
  readonly bytesPerSecond: number | undefined;
}

const DAY_MINUTES = 24 * 60;
/** Minimum rate in bytes per second. At a lower rate a backup would never finish. */
const MIN_RATE = 1 << 10;
const MAX_RATE = 2 ** 40;
const MAX_PERIODS = 48;

/** Parses a rate, or rates by time of day; the first period that matches applies. Throws CONFIG_INVALID. */
export function parseRates(text: string, where: string): RatePeriod[] {
  const parts = text.split(',');
  if (parts.length > MAX_PERIODS) throw mustBe(where, text, `at most ${MAX_PERIODS} periods`);
  if (parts.length === 1 && !text.includes('=')) {
    return [{ from: 0, to: DAY_MINUTES, bytesPerSecond: parseRate(text, where) }];
  }
  return parts.map((part) => {
    const [when = '', rate = '', ...more] = part.split('=');
    if (more.length > 0 || !part.includes('=')) throw mustBe(where, text, 'FROM-TO=RATE or *=RATE');
    return { ...parsePeriod(when.trim(), where), bytesPerSecond: parseRate(rate, where) };
  });
}

/** Returns the rate at a minute of the day; undefined for no limit. */
export function rateAt(periods: readonly RatePeriod[], minute: number): number | undefined {
  const isWithin = ({ from, to }: RatePeriod): boolean =>
    from <= to ? minute >= from && minute < to : minute >= from || minute < to;
  return periods.find(isWithin)?.bytesPerSecond;
}

function parsePeriod(when: string, where: string): { from: number; to: number } {
  if (when === '*') return { from: 0, to: DAY_MINUTES };
  const [, fromHour, fromMinute, toHour, toMinute] =
    /^(\d{2}):(\d{2})-(\d{2}):(\d{2})$/.exec(when) ?? [];
  const from = Number(fromHour) * 60 + Number(fromMinute);
  const to = Number(toHour) * 60 + Number(toMinute);
  const isTime = Number(fromMinute) < 60 && Number(toMinute) < 60 && from < DAY_MINUTES;
  if (!isTime || !(to <= DAY_MINUTES) || from === to) {
    throw mustBe(where, when, 'a time of day such as 08:00-18:00, or *');
  }
  return { from, to };
}

function parseRate(text: string, where: string): number | undefined {
  if (text.trim() === 'none') return undefined;
  const rate = parseSize(text, where);
  if (rate < MIN_RATE || rate > MAX_RATE) throw mustBe(where, text, 'at least 1K, at most 1T');
  return rate;
}
