/** Arranges backup sets in months and days, and finds the times without a backup. */

import { DAY_MS } from './formats.js';

/** The part of a set that a calendar needs. */
interface Timed {
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
  /** True if a set of the day is unfinished, could not read something, or may lack entries. */
  readonly isTroubled: boolean;
}

const DAYS_A_WEEK = 7;

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
  sets: readonly (Timed & { readonly isDoubtful?: boolean; readonly unread?: number })[],
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
    found.isTroubled ||=
      set.state !== 'complete' || set.isDoubtful === true || (set.unread ?? 0) > 0;
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
 * it began more than `lateAfterMs` after the complete set before it; 0 means that none is.
 */
export function lateSets(sets: readonly Timed[], lateAfterMs: number): Map<number, number> {
  if (lateAfterMs === 0) return new Map();
  const complete = sets
    .filter(({ state }) => state === 'complete')
    .toSorted((a, b) => a.openedAtMs - b.openedAtMs);
  const gaps = complete.slice(1).map(({ set, openedAtMs }, index) => {
    return { set, gapMs: openedAtMs - complete[index]!.openedAtMs };
  });
  const late = gaps.filter(({ gapMs }) => gapMs > lateAfterMs);
  return new Map(late.map(({ set, gapMs }) => [set, Math.floor(gapMs / DAY_MS)]));
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
