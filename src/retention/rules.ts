/** Retention rules. A set is kept if one of the rules keeps it; without any rule all sets are kept. */
import { offsetIfRepeated } from '../model/index.js';

/**
 * Keeps sets of one priority class for this many days; 0 means forever. A class begins at this priority and
 * ends below that of the next class.
 */
export interface PriorityPeriod {
  readonly priority: number;
  readonly days: number;
}

/**
 * Rules that are a number of sets; 0 means no rule. `keepLast` keeps the newest sets, `keepHourly` one set of each of the
 * newest hours that have some, and likewise for days to years.
 */
export const COUNT_RULES = [
  'keepLast',
  'keepHourly',
  'keepDaily',
  'keepWeekly',
  'keepMonthly',
  'keepYearly',
] as const;
type CountRule = (typeof COUNT_RULES)[number];
export type RuleCounts = Readonly<Record<CountRule, number>>;

/** Returns the number of each of these rules. */
export function countsOf(countOf: (rule: CountRule) => number): RuleCounts {
  return Object.fromEntries(COUNT_RULES.map((rule) => [rule, countOf(rule)])) as RuleCounts;
}

export interface RetentionRules extends RuleCounts {
  /**
   * Rules by priority; empty for none. The rule of the lowest priority also applies to sets below it.
   */
  readonly periods: readonly PriorityPeriod[];
  /** Age up to which all sets are kept; 0 means no rule. */
  readonly keepWithinMs: number;
  /**
   * Time after which a series without a new set has ended, so that it is judged together with the others that have ended; 0:
   * never.
   */
  readonly endedAfterMs: number;
  /** Sets with one of these tags are kept. */
  readonly keepTags: readonly string[];
}

/** The rules that keep one set of each period, by the name of the period. */
export const PERIOD_RULES = {
  hour: 'keepHourly',
  day: 'keepDaily',
  week: 'keepWeekly',
  month: 'keepMonthly',
  year: 'keepYearly',
} as const;
export type PeriodName = keyof typeof PERIOD_RULES;

export const NO_RULES: RetentionRules = Object.freeze({
  periods: [],
  ...countsOf(() => 0),
  keepWithinMs: 0,
  endedAfterMs: 0,
  keepTags: [],
});

/**
 * True if there is any rule by which sets may be deleted. Tags and the end of a series are none by themselves: a tag only
 * adds to what other rules keep. (If it were a rule, a misspelled tag would delete everything but the newest set.)
 */
export function hasRules(rules: RetentionRules): boolean {
  const { periods, keepTags: _tags, endedAfterMs: _ended, ...counts } = rules;
  return periods.length > 0 || Object.values(counts).some((count) => count > 0);
}

/**
 * Returns the period that contains a time, in local time. The text is equal for all times of a period. The two hours
 * of one name, when the clock is set back, differ by their offset from UTC.
 */
export function periodOf(name: PeriodName, atMs: number): string {
  const at = new Date(atMs);
  const [year, month, day] = [at.getFullYear(), at.getMonth() + 1, at.getDate()];
  switch (name) {
    case 'year':
      return String(year);
    case 'month':
      return `${year}-${two(month)}`;
    case 'day':
      return `${year}-${two(month)}-${two(day)}`;
    case 'hour':
      return `${year}-${two(month)}-${two(day)} ${two(at.getHours())}h${offsetIfRepeated(atMs)}`;
    case 'week':
      return weekOf(year, month, day);
  }
}

function weekOf(year: number, month: number, day: number): string {
  const { weekYear, week } = isoWeek(year, month, day);
  return `${weekYear}-W${two(week)}`;
}

/**
 * Returns year and number of a day's ISO 8601 week: weeks begin on Monday, and belong to the year that
 * contains their Thursday.
 */
export function isoWeek(
  year: number,
  month: number,
  day: number,
): { readonly weekYear: number; readonly week: number } {
  const date = new Date(Date.UTC(year, month - 1, day));
  const weekday = (date.getUTCDay() + 6) % 7;
  date.setUTCDate(date.getUTCDate() - weekday + 3);
  const weekYear = date.getUTCFullYear();
  const dayOfYear = (date.getTime() - Date.UTC(weekYear, 0, 1)) / 86_400_000;
  return { weekYear, week: Math.floor(dayOfYear / 7) + 1 };
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
