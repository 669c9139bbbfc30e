/** Formats names, numbers and times for people. Names come from backups, so they may contain anything. */

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const;
const NS_PER_MS = 1_000_000n;
const HOUR_MS = 3_600_000;
export const DAY_MS: number = 24 * HOUR_MS;

/**
 * Matches characters that change the order or the place of the text around them: control characters, marks of
 * direction, line separators, characters without a width. Joiners, which scripts and emoji need, are not matched.
 */
const UNSEEN =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Returns a name in which each invisible character is replaced by a visible one. */
export function shownName(name: string): string {
  return name.replaceAll(UNSEEN, visible);
}

/** Returns the name of a client, without the digits that the name in addresses has for another store. */
export function shownClient(name: string): string {
  return shownName(name.replace(/@[0-9a-f]{8}$/, ''));
}

/** Returns the name of an entry, in which blanks at its start and end are visible too. */
export function shownEntryName(name: string): string {
  return shownName(name).replaceAll(/^ +| +$/g, (blanks) => blanks.replaceAll(' ', visible));
}

function visible(char: string): string {
  const code = char.charCodeAt(0).toString(16).toUpperCase();
  return `\u2039U+${code.padStart(4, '0')}\u203a`;
}

/** Returns a number of bytes in the largest decimal unit that fits, with the name of the unit in the language. */
export function shownBytes(bytes: number, language: string): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || Math.abs(value) >= 99.95 ? 0 : 1;
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: UNITS[unit]!,
    // The short form of a byte is no word in English, and has no plural.
    unitDisplay: unit === 0 ? 'long' : 'short',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}

/** Returns a time in milliseconds from a time in decimal nanoseconds; undefined if that is not a number. */
export function msOfNs(ns: string | undefined): number | undefined {
  if (ns === undefined || !/^-?\d{1,30}$/.test(ns)) return undefined;
  const ms = Number(BigInt(ns) / NS_PER_MS);
  return Math.abs(ms) <= 8.64e15 ? ms : undefined;
}

/** Returns date and time to the minute, in the format of the language. */
export function shownTime(ms: number | undefined, language: string): string {
  if (ms === undefined) return '\u2013';
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(ms);
}

/** Returns the time of each set, by its number. Sets of the same minute are shown with seconds. */
export function setTimes(
  sets: readonly { readonly set: number; readonly openedAtMs: number }[],
  language: string,
): Map<number, { readonly time: string; readonly clock: string }> {
  const minutes = new Map<number, number>();
  const minuteOf = (ms: number): number => Math.floor(ms / 60_000);
  for (const { openedAtMs } of sets) {
    const minute = minuteOf(openedAtMs);
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
  }
  const [short, long] = (['short', 'medium'] as const).map((timeStyle) => ({
    time: new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle }),
    clock: new Intl.DateTimeFormat(language, { timeStyle }),
  }));
  return new Map(
    sets.map(({ set, openedAtMs }) => {
      const isAlone = minutes.get(minuteOf(openedAtMs)) === 1;
      const { time, clock } = isAlone ? short! : long!;
      return [set, { time: time.format(openedAtMs), clock: clock.format(openedAtMs) }];
    }),
  );
}

export function shownDay(ms: number, language: string): string {
  return new Intl.DateTimeFormat(language, {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
  }).format(ms);
}

export function shownCount(count: number, language: string): string {
  return new Intl.NumberFormat(language).format(count);
}

/** Units of an age, each with the age from which it is used. Up to months they are those of `shownAge`. */
const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, unitMs: number, fromMs: number])[] = [
  ['year', 365.25 * DAY_MS, 365.25 * DAY_MS],
  ['month', 30.44 * DAY_MS, 30.44 * DAY_MS],
  ['day', DAY_MS, 2 * DAY_MS],
  ['hour', HOUR_MS, 2 * HOUR_MS],
  ['minute', 60_000, 60_000],
];

/** Returns the age of a time in the words of the language, for example `3 days ago`, rounded down. */
export function shownAgo(ms: number, nowMs: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const passedMs = nowMs - ms;
  const [unit, unitMs] =
    STEPS.find(([, , fromMs]) => Math.abs(passedMs) >= fromMs) ?? STEPS.at(-1)!;
  return format.format(-Math.trunc(passedMs / unitMs), unit);
}

const LETTERS = 'rwxrwxrwx';

/** Returns permission bits as `rwxr-x---`. */
export function shownMode(mode: number): string {
  return Array.from(LETTERS, (letter, index) =>
    (mode & (1 << (LETTERS.length - 1 - index))) === 0 ? '-' : letter,
  ).join('');
}

/** The part of a job that its figures need. */
interface Progress {
  readonly elapsedMs: number;
  readonly totalBytes?: number | undefined;
  /** The progress of a command, as it prints it. */
  readonly latest?: string;
  readonly progress: { readonly bytes: number };
}

/** True if a job is a mount that is there. It lasts until it is unmounted. */
export function isMounted(job: {
  readonly kind: string;
  readonly state: string;
  readonly report?: string;
}): boolean {
  return job.kind === 'mount' && job.state === 'running' && job.report !== undefined;
}

/** Time after the begin of a job from which its rate is meaningful. */
const LEAST_MS = 1000;

/** Returns the share of the work that is done, from 0 to 1; undefined if the amount of work is not known. */
export function shareOf({ totalBytes, progress, latest }: Progress): number | undefined {
  const percent = /(\d{1,3}) %/.exec(latest ?? '')?.[1];
  if (percent !== undefined) return Math.min(1, Number(percent) / 100);
  if (totalBytes === undefined || totalBytes === 0) return undefined;
  return Math.min(1, progress.bytes / totalBytes);
}

/** Returns the bytes per second since the begin of a job; undefined if it has just begun, or has written nothing. */
export function rateOf({ elapsedMs, progress }: Progress): number | undefined {
  if (elapsedMs < LEAST_MS || progress.bytes === 0) return undefined;
  return (progress.bytes * 1000) / elapsedMs;
}

/** Returns the time until the end of a job at its rate so far; undefined if that is not known. */
export function leftMs(job: Progress): number | undefined {
  const rate = rateOf(job);
  const { totalBytes, progress } = job;
  if (rate === undefined || totalBytes === undefined) return undefined;
  return (Math.max(0, totalBytes - progress.bytes) / rate) * 1000;
}

/** Returns a duration in the two largest units that fit, such as `2 min 5 sec`. */
export function shownDuration(ms: number, language: string): string {
  const seconds = Math.ceil(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const parts: [number, string][] =
    seconds < 60
      ? [[seconds, 'second']]
      : minutes < 60
        ? [
            [minutes, 'minute'],
            [seconds % 60, 'second'],
          ]
        : [
            [Math.floor(minutes / 60), 'hour'],
            [minutes % 60, 'minute'],
          ];
  return parts.map(([count, unit]) => inUnit(count, unit, 'short', language)).join(' ');
}

/** Returns an age in minutes, hours or days, such as `3 days`. */
export function shownAge(ms: number, language: string): string {
  const [unitMs, unit] =
    ms < 2 * HOUR_MS ? [60_000, 'minute'] : ms < 2 * DAY_MS ? [HOUR_MS, 'hour'] : [DAY_MS, 'day'];
  return inUnit(Math.floor(ms / unitMs), unit, 'long', language);
}

function inUnit(
  count: number,
  unit: string,
  unitDisplay: 'long' | 'short',
  language: string,
): string {
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay }).format(count);
}
