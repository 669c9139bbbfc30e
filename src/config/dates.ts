/**
 * Parses dates as users write them, in the local time zone. Accepts short ages (3D, 12h), @SECONDS, ISO, numbers
 * (03/15/2014, month first) and words ("3 days ago", yesterday, "last monday at noon"). The whole text must be
 * understood. A day without a time means the end of that day: "yesterday" covers all of yesterday. A month without a
 * day means the end of that month.
 */
import type { ParsedResult } from 'chrono-node';
import { TardisError } from '../errors/index.js';

const MAX_DATE_CHARS = 200;
const AGE = /^(\d{1,6})\s*(s|sec|min|h|d|w|mo|mon|y)$/i;
const UNIX = /^@(\d{1,12})$/;
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,3})\d*)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/;
/** Matches words that denote a moment, not a day. */
const IS_MOMENT =
  /^-|\b(ago|earlier|(last|past) (hour|day|week|month|year)|morning|afternoon|evening|night)\b/i;
const WEEK_DAYS = 7;

/** The moment of a day or month without a time: its first or its last millisecond. */
type Edge = 'start' | 'end';

/**
 * Returns the time of `text` in milliseconds since 1970, relative to `nowMs`. `edge`: the moment that a day or month
 * without a time means. Throws BAD_DATE.
 */
export async function parseDate(text: string, nowMs: number, edge: Edge = 'end'): Promise<number> {
  const trimmed = text.trim();
  const momentMs = parseUnix(trimmed) ?? parseAge(trimmed, nowMs) ?? parseIso(trimmed, edge);
  if (momentMs !== undefined) return momentMs;
  if (trimmed === '' || trimmed.length > MAX_DATE_CHARS || ISO.test(trimmed)) throw badDate(text);
  if (/^now$/i.test(trimmed)) return nowMs;
  return parseWords(trimmed, nowMs, edge);
}

function badDate(text: string): TardisError {
  return new TardisError('BAD_DATE', `"${text.slice(0, 80)}" is not a valid date`);
}

function parseUnix(text: string): number | undefined {
  const match = UNIX.exec(text);
  return match === null ? undefined : Number(match[1]) * 1000;
}

/** Parses a short age: `3D` is three days ago. Months and years follow the calendar. */
function parseAge(text: string, nowMs: number): number | undefined {
  const match = AGE.exec(text);
  if (match === null) return undefined;
  const count = Number(match[1]);
  const date = new Date(nowMs);
  switch (match[2]!.toLowerCase()) {
    case 's':
    case 'sec':
      return nowMs - count * 1000;
    case 'min':
      return nowMs - count * 60_000;
    case 'h':
      return nowMs - count * 3_600_000;
    case 'd':
      date.setDate(date.getDate() - count);
      break;
    case 'w':
      date.setDate(date.getDate() - count * WEEK_DAYS);
      break;
    case 'y':
      backByMonths(date, count * 12);
      break;
    default:
      backByMonths(date, count);
  }
  return date.getTime();
}

/** Subtracts calendar months: one month before the 31st of March is the end of February. */
function backByMonths(date: Date, months: number): void {
  const day = date.getDate();
  date.setMonth(date.getMonth() - months);
  if (date.getDate() !== day) date.setDate(0);
}

function parseIso(text: string, edge: Edge): number | undefined {
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part));
  const hasTime = match[4] !== undefined;
  const isDay = isDayOfCalendar(year!, month!, day!);
  if (
    !isDay ||
    (hasTime && (hour! > 23 || minute! > 59 || (match[6] !== undefined && second! > 59)))
  )
    throw badDate(text);
  if (!hasTime) return edgeOfDay(new Date(year!, month! - 1, day), edge);
  const seconds = match[6] === undefined ? 0 : second!;
  const millis = Number((match[7] ?? '0').padEnd(3, '0'));
  const zone = match[8];
  if (zone === undefined) {
    return new Date(year!, month! - 1, day, hour, minute, seconds, millis).getTime();
  }
  const utcMs = Date.UTC(year!, month! - 1, day, hour, minute, seconds, millis);
  return utcMs - offsetMinutes(zone) * 60_000;
}

function offsetMinutes(zone: string): number {
  if (zone === 'Z') return 0;
  const digits = zone.slice(1).replace(':', '');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return zone.startsWith('-') ? -minutes : minutes;
}

function isDayOfCalendar(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function edgeOfDay(date: Date, edge: Edge): number {
  const moment = new Date(date);
  if (edge === 'start') moment.setHours(0, 0, 0, 0);
  else moment.setHours(23, 59, 59, 999);
  return moment.getTime();
}

function edgeOfMonth(date: Date, edge: Edge): number {
  const [year, month] = [date.getFullYear(), date.getMonth()];
  const day = edge === 'start' ? new Date(year, month, 1) : new Date(year, month + 1, 0);
  return edgeOfDay(day, edge);
}

async function parseWords(text: string, nowMs: number, edge: Edge): Promise<number> {
  const { strict, casual } = await import('chrono-node/en'); // loading it takes 0.2 s, and it is rarely needed
  const reference = new Date(nowMs);
  const result =
    whole(strict.parse(text, reference), text) ?? whole(casual.parse(text, reference), text);
  if (result === undefined) throw badDate(text);
  const { start } = result;
  const date = start.date();
  if (date.getTime() > edgeOfDay(reference, 'end')) {
    // A weekday, or a month without a year, means the last one, since no backup is in the future.
    if (start.isCertain('weekday') && !start.isCertain('day')) {
      date.setDate(date.getDate() - WEEK_DAYS);
    } else if (start.isCertain('month') && !start.isCertain('year')) {
      date.setFullYear(date.getFullYear() - 1);
    }
  }
  if (start.isCertain('hour') || IS_MOMENT.test(text)) return date.getTime();
  const namesMonthOnly = start.isCertain('month') && !start.isCertain('day');
  const isMonth = namesMonthOnly && !start.isCertain('weekday');
  return isMonth ? edgeOfMonth(date, edge) : edgeOfDay(date, edge);
}

/** Returns the result if there is only one, which covers the whole text and is not a range; otherwise undefined. */
function whole(results: readonly ParsedResult[], text: string): ParsedResult | undefined {
  const [result] = results;
  if (results.length !== 1 || result?.index !== 0 || result.text.length !== text.length) {
    return undefined;
  }
  return result.end === null || result.end === undefined ? result : undefined;
}
