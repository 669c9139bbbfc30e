/** What is kept, in rules. A set that one of them wants is kept; where there is no rule at all, all are. */

/** Sets of a priority at least this high, and below that of the next class, are kept for so many days; 0: for ever. */
export interface PriorityPeriod {
  readonly priority: number;
  readonly days: number;
}

export interface RetentionRules {
  /** Empty: priorities say nothing. Sets of a lower priority than all go by the lowest. */
  readonly periods: readonly PriorityPeriod[];
  /** How many of each are kept, the newest; 0: no rule. */
  readonly keepLast: number;
  readonly keepHourly: number;
  readonly keepDaily: number;
  readonly keepWeekly: number;
  readonly keepMonthly: number;
  readonly keepYearly: number;
  /** Younger sets are kept; 0: no rule. */
  readonly keepWithinMs: number;
  /** Sets that have one of these are kept. */
  readonly keepTags: readonly string[];
  /** Nobody has chosen the periods: sets of releases that gave no priorities are not judged by them. */
  readonly isUsual?: boolean;
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
  keepLast: 0,
  keepHourly: 0,
  keepDaily: 0,
  keepWeekly: 0,
  keepMonthly: 0,
  keepYearly: 0,
  keepWithinMs: 0,
  keepTags: [],
});

/** Whether rules say anything. */
export function hasRules(rules: RetentionRules): boolean {
  const { periods, keepTags, isUsual: _, ...counts } = rules;
  return periods.length + keepTags.length > 0 || Object.values(counts).some((count) => count > 0);
}

/** The period that a moment is in, by the local time of this machine, as a text that is the same all through it. */
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
      return `${year}-${two(month)}-${two(day)} ${two(at.getHours())}h`;
    case 'week':
      return weekOf(year, month, day);
  }
}

/** By ISO 8601: weeks begin on Monday, and belong to the year that has their Thursday. */
function weekOf(year: number, month: number, day: number): string {
  const date = new Date(Date.UTC(year, month - 1, day));
  const weekday = (date.getUTCDay() + 6) % 7;
  date.setUTCDate(date.getUTCDate() - weekday + 3);
  const weekYear = date.getUTCFullYear();
  const dayOfYear = (date.getTime() - Date.UTC(weekYear, 0, 1)) / 86_400_000;
  return `${weekYear}-W${two(Math.floor(dayOfYear / 7) + 1)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
