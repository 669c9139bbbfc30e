/**
 * Parses dates as users write them, in the local time zone. Accepts short ages (3D, 12h), @SECONDS, ISO, numbers and
 * words ("3 days ago", yesterday, "last monday at noon"). The whole text must be understood. Numbers between slashes
 * have the month first (03/15/2014), numbers between dots the day (15.03.2014); they are never exchanged. A text means
 * all of the month, day, part of a day, minute or second that it names, and thus the end of it, unless a caller needs
 * the start: "yesterday" covers all of yesterday, and 10:30:05 that whole second. An age means a moment. A month, a
 * weekday or a time of day that has no more than that is the last one, since no backup is in the future.
 */
import type { ParsedComponents, ParsedResult } from 'chrono-node';
import { TardisError } from '../errors/index.js';
import { MINUTE_MS, repeatedLater } from '../model/index.js';

const MAX_DATE_CHARS = 200;
const AGE = /^(\d{1,6})\s*(s|sec|min|h|d|w|mo|mon|y)$/i;
const UNIX = /^@(\d{1,12})$/;
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,3})\d*)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/;
/** Matches a date of numbers with the year last; between slashes the year may be missing. */
const NUMBERS =
  /(?<![\d/.:-])(?:(\d{1,2})\/(\d{1,2})(?:\/(\d{4}|\d{2}))?|(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2})|\d{1,2}-\d{1,2}-(?:\d{4}|\d{2}))(?![\d/:-]|\.\d)/;
const MONTHS =
  'January February March April May June July August September October November December';
/** Matches words that denote a moment, not a day. */
const IS_MOMENT = /^-|\b(ago|earlier|(last|past) (hour|day|week|month|year))\b/i;
const PART_OF_DAY = /\b(morning|afternoon|evening|night|tonight)\b/i;
/** The hour at which each part of a day begins, and its length in hours. */
const PARTS: Readonly<Record<string, readonly [from: number, hours: number]>> = {
  morning: [6, 6],
  afternoon: [12, 6],
  evening: [18, 4],
  night: [22, 8],
  tonight: [22, 8],
};
const WEEK_DAYS = 7;
const LEAP_YEAR = 2000;
const SECOND_MS = 1000;

/** The moment that a date means: the first or the last millisecond of what it names. */
type Edge = 'start' | 'end';

/** All of what a date names: its first and its last millisecond. Both are equal if it names a moment. */
interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Returns the time of `text` in milliseconds since 1970, relative to `nowMs`. `edge`: the moment that it means.
 * Throws BAD_DATE.
 */
export async function parseDate(text: string, nowMs: number, edge: Edge = 'end'): Promise<number> {
  const { fromMs, toMs } = await spanOf(text, nowMs);
  return edge === 'start' ? fromMs : toMs;
}

async function spanOf(text: string, nowMs: number): Promise<Span> {
  const trimmed = text.trim();
  const exact = parseUnix(trimmed) ?? parseAge(trimmed, nowMs) ?? parseIso(trimmed);
  if (exact !== undefined) return exact;
  if (trimmed === '' || trimmed.length > MAX_DATE_CHARS || ISO.test(trimmed)) throw badDate(text);
  if (/^now$/i.test(trimmed)) return moment(nowMs);
  return parseWords(trimmed, nowMs);
}

function moment(ms: number): Span {
  return { fromMs: ms, toMs: ms };
}

/** Returns the whole second or minute that contains a moment. */
function around(ms: number, lengthMs: number): Span {
  const fromMs = Math.floor(ms / lengthMs) * lengthMs;
  return { fromMs, toMs: fromMs + lengthMs - 1 };
}

/** Returns the span of local times; if the clock is set back so that they come twice, it ends with the later ones. */
function local({ fromMs, toMs }: Span): Span {
  return { fromMs, toMs: repeatedLater(toMs) };
}

function badDate(text: string, reason = ''): TardisError {
  return new TardisError('BAD_DATE', `"${text.slice(0, 80)}" is not a valid date${reason}`);
}

function parseUnix(text: string): Span | undefined {
  const match = UNIX.exec(text);
  return match === null ? undefined : around(Number(match[1]) * SECOND_MS, SECOND_MS);
}

/** Parses a short age: `3D` is three days ago. Months and years follow the calendar. */
function parseAge(text: string, nowMs: number): Span | undefined {
  const match = AGE.exec(text);
  if (match === null) return undefined;
  const count = Number(match[1]);
  const date = new Date(nowMs);
  switch (match[2]!.toLowerCase()) {
    case 's':
    case 'sec':
      return moment(nowMs - count * SECOND_MS);
    case 'min':
      return moment(nowMs - count * MINUTE_MS);
    case 'h':
      return moment(nowMs - count * 60 * MINUTE_MS);
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
  return moment(date.getTime());
}

/** Subtracts calendar months: one month before the 31st of March is the end of February. */
function backByMonths(date: Date, months: number): void {
  const day = date.getDate();
  date.setMonth(date.getMonth() - months);
  if (date.getDate() !== day) date.setDate(0);
}

function parseIso(text: string): Span | undefined {
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part));
  const [hasTime, hasSecond] = [match[4] !== undefined, match[6] !== undefined];
  const isDay = isDayOfCalendar(year!, month!, day!);
  if (!isDay || (hasTime && (hour! > 23 || minute! > 59 || (hasSecond && second! > 59))))
    throw badDate(text);
  if (!hasTime) return dayOf(new Date(year!, month! - 1, day));
  const seconds = hasSecond ? second! : 0;
  const millis = Number((match[7] ?? '0').padEnd(3, '0'));
  const named = (ms: number): Span =>
    match[7] === undefined ? around(ms, hasSecond ? SECOND_MS : MINUTE_MS) : moment(ms);
  const zone = match[8];
  if (zone === undefined) {
    return local(named(new Date(year!, month! - 1, day, hour, minute, seconds, millis).getTime()));
  }
  const utcMs = Date.UTC(year!, month! - 1, day, hour, minute, seconds, millis);
  return named(utcMs - offsetMinutes(zone) * MINUTE_MS);
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

function dayOf(date: Date, to = date): Span {
  return {
    fromMs: new Date(date).setHours(0, 0, 0, 0),
    toMs: new Date(to).setHours(23, 59, 59, 999),
  };
}

function monthOf(date: Date): Span {
  const [year, month] = [date.getFullYear(), date.getMonth()];
  return dayOf(new Date(year, month, 1), new Date(year, month + 1, 0));
}

/** Returns the part of the day of `date` that begins at an hour; a night ends on the next day. */
function partOf(date: Date, [from, hours]: readonly [number, number]): Span {
  return {
    fromMs: new Date(date).setHours(from, 0, 0, 0),
    toMs: new Date(date).setHours(from + hours, 0, 0, 0) - 1,
  };
}

async function parseWords(text: string, nowMs: number): Promise<Span> {
  const { strict, casual } = await import('chrono-node/en'); // loading it takes 0.2 s, and it is rarely needed
  const words = inWords(text);
  const reference = new Date(nowMs);
  const result =
    whole(strict.parse(words, reference), words) ?? whole(casual.parse(words, reference), words);
  if (result === undefined) throw badDate(text);
  const { start } = result;
  const date = start.date();
  const hasTime = start.isCertain('hour');
  if (date.getTime() > (hasTime ? nowMs : dayOf(reference).toMs)) backToLast(date, start);
  if (start.isCertain('millisecond') || IS_MOMENT.test(words)) return moment(date.getTime());
  if (hasTime) {
    return local(around(date.getTime(), start.isCertain('second') ? SECOND_MS : MINUTE_MS));
  }
  const part = PART_OF_DAY.exec(words)?.[1];
  if (part !== undefined) return partOf(date, PARTS[part.toLowerCase()]!);
  const namesMonthOnly = start.isCertain('month') && !start.isCertain('day');
  return namesMonthOnly && !start.isCertain('weekday') ? monthOf(date) : dayOf(date);
}

/** Sets a date in the future back to the last one, if its week, year or day is not given. */
function backToLast(date: Date, start: ParsedComponents): void {
  if (start.isCertain('weekday') && !start.isCertain('day')) {
    date.setDate(date.getDate() - WEEK_DAYS);
  } else if (start.isCertain('month')) {
    if (!start.isCertain('year')) date.setFullYear(date.getFullYear() - 1);
  } else if (!start.isCertain('day')) date.setDate(date.getDate() - 1);
}

/** Returns the text with a date of numbers in words, and with phrases that the parser understands. Throws BAD_DATE. */
function inWords(text: string): string {
  return text
    .replace(NUMBERS, (numbers, ...parts: (string | undefined)[]) => {
      const [month = parts[4], day = parts[3], year = parts[5]] = parts;
      if (month === undefined) throw badDate(text, ': write the year first, YYYY-MM-DD');
      const fullYear = year?.length === 2 ? fullYearOf(Number(year)) : Number(year ?? LEAP_YEAR);
      if (!isDayOfCalendar(fullYear, Number(month), Number(day))) {
        const order = numbers.includes('/')
          ? 'the month is first in 03/15/2014'
          : 'the day is first';
        throw badDate(text, `: ${order}`);
      }
      const name = MONTHS.split(' ')[Number(month) - 1]!;
      return year === undefined ? `${name} ${day}` : `${name} ${day} ${fullYear}`;
    })
    .replace(/\blast\s+night\b/i, 'yesterday night')
    .replace(/^day before/i, 'the day before');
}

/** Returns the year of two digits, as `%y` of POSIX does. */
function fullYearOf(year: number): number {
  return year + (year < 69 ? 2000 : 1900);
}

/** Returns the result if there is only one, which covers the whole text and is not a range; otherwise undefined. */
function whole(results: readonly ParsedResult[], text: string): ParsedResult | undefined {
  const [result] = results;
  if (results.length !== 1 || result?.index !== 0 || result.text.length !== text.length) {
    return undefined;
  }
  return result.end === null || result.end === undefined ? result : undefined;
}
