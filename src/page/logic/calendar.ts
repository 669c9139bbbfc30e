/** Arranges backup sets in months and days, and finds the times without a backup. */

/** The part of a set that a calendar needs. */
export interface Timed {
  readonly set: number;
  readonly state: string;
  readonly openedAtMs: number;
}

export interface Month {
  readonly year: number;
  /** Number of the month: 0 for January. */
  readonly month: number;
}

export interface Day {
  readonly day: number;
  readonly sets: readonly number[];
  /** True if a set of the day is unfinished or may lack entries. */
  readonly isTroubled: boolean;
}

const DAYS_A_WEEK = 7;
const DAY_MS = 86_400_000;
/** Multiple of the usual distance of sets. A longer gap counts as late. */
const LATE_TIMES = 2.5;
/** Minimum length of a gap that counts as late. */
const LEAST_GAP_MS = 26 * 3_600_000;
/** Minimum number of distances that show the usual distance. */
const LEAST_DISTANCES = 3;

export function monthOf(ms: number): Month {
  const date = new Date(ms);
  return { year: date.getFullYear(), month: date.getMonth() };
}

export function shiftMonth({ year, month }: Month, by: number): Month {
  const date = new Date(year, month + by, 1);
  return { year: date.getFullYear(), month: date.getMonth() };
}

/** Returns a number for a month. Later months have higher numbers. */
export function monthNumber({ year, month }: Month): number {
  return year * 12 + month;
}

/** Returns the weeks of a month. Days of the neighbouring months are undefined. `firstDay` is 0 for Sunday. */
export function weeksOf(
  { year, month }: Month,
  sets: readonly (Timed & { readonly isDoubtful?: boolean })[],
  firstDay: number,
): (Day | undefined)[][] {
  const days = new Date(year, month + 1, 0).getDate();
  const lead = (new Date(year, month, 1).getDay() - firstDay + DAYS_A_WEEK) % DAYS_A_WEEK;
  const cells: (Day | undefined)[] = Array.from({ length: lead }, () => undefined);
  const byDay = new Map<number, { sets: number[]; isTroubled: boolean }>();
  for (const set of sets) {
    const date = new Date(set.openedAtMs);
    if (date.getFullYear() !== year || date.getMonth() !== month) continue;
    const found = byDay.get(date.getDate()) ?? { sets: [], isTroubled: false };
    found.sets.push(set.set);
    found.isTroubled ||= set.state !== 'complete' || set.isDoubtful === true;
    byDay.set(date.getDate(), found);
  }
  for (let day = 1; day <= days; day += 1) {
    const { sets: numbers, isTroubled } = byDay.get(day) ?? { sets: [], isTroubled: false };
    cells.push({ day, sets: numbers, isTroubled });
  }
  while (cells.length % DAYS_A_WEEK !== 0) cells.push(undefined);
  return Array.from({ length: cells.length / DAYS_A_WEEK }, (_, week) =>
    cells.slice(week * DAYS_A_WEEK, (week + 1) * DAYS_A_WEEK),
  );
}

/**
 * Returns the number of days without a complete set before each late set, by the number of the set. A set is late if
 * the time since the complete set before it is much longer than usual.
 */
export function lateSets(sets: readonly Timed[]): Map<number, number> {
  const gaps = gapsOf(sets);
  const boundMs = longestUsualMs(gaps);
  if (boundMs === undefined) return new Map();
  const late = gaps.filter(({ gapMs }) => gapMs > boundMs);
  return new Map(late.map(({ set, gapMs }) => [set, daysOf(gapMs)]));
}

/**
 * Present state of a client: late, on time or unknown. The page does not know a schedule. So the state is determined
 * from the usual distance of sets. If there are too few sets for that, a client with a backup in the last 26 hours is
 * on time.
 */
export type Standing =
  | { readonly kind: 'late'; readonly days: number }
  | { readonly kind: 'onTime' | 'unknown' };

/** Returns the state of a client with these sets. */
export function standingOf(sets: readonly Timed[], nowMs: number): Standing {
  const newestMs = Math.max(...completeOf(sets).map(({ openedAtMs }) => openedAtMs), -Infinity);
  const ageMs = nowMs - newestMs;
  const boundMs = longestUsualMs(gapsOf(sets));
  if (ageMs <= (boundMs ?? LEAST_GAP_MS)) return { kind: 'onTime' };
  return boundMs === undefined ? { kind: 'unknown' } : { kind: 'late', days: daysOf(ageMs) };
}

/** Returns the complete sets, oldest first. */
function completeOf<S extends Timed>(sets: readonly S[]): S[] {
  return sets
    .filter(({ state }) => state === 'complete')
    .toSorted((a, b) => a.openedAtMs - b.openedAtMs);
}

interface Gap {
  readonly set: number;
  readonly gapMs: number;
}

function gapsOf(sets: readonly Timed[]): Gap[] {
  const complete = completeOf(sets);
  return complete.slice(1).map(({ set, openedAtMs }, index) => ({
    set,
    gapMs: openedAtMs - complete[index]!.openedAtMs,
  }));
}

/** Returns the longest time between sets that is not late; undefined if there are too few sets to determine it. */
function longestUsualMs(gaps: readonly Gap[]): number | undefined {
  if (gaps.length < LEAST_DISTANCES) return undefined;
  const sorted = gaps.map(({ gapMs }) => gapMs).sort((a, b) => a - b);
  const usualMs = sorted[Math.floor((sorted.length - 1) / 2)]!;
  return Math.max(usualMs * LATE_TIMES, LEAST_GAP_MS);
}

function daysOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** Returns the first day of the week of a language: 0 for Sunday. */
export function firstDayOf(language: string): number {
  const locale = new Intl.Locale(language) as Intl.Locale & {
    getWeekInfo?: () => { firstDay: number };
  };
  return (locale.getWeekInfo?.().firstDay ?? 1) % DAYS_A_WEEK;
}

/** Returns the short names of the days of a week. */
export function weekdayNames(language: string, firstDay: number): string[] {
  const format = new Intl.DateTimeFormat(language, { weekday: 'short', timeZone: 'UTC' });
  const sunday = Date.UTC(2023, 0, 1);
  return Array.from({ length: DAYS_A_WEEK }, (_, index) =>
    format.format(sunday + ((firstDay + index) % DAYS_A_WEEK) * DAY_MS),
  );
}
