/**
 * Makes the local time of JavaScript that of the C library, which `date` and all other programs show. Node.js knows names
 * of zones only. It has UTC, or no summer time, for a TZ of rules (`CET-1CEST,M3.5.0,M10.5.0/3`), of a file, or of TZDIR.
 */
import type { NativeCalls } from './native.js';

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Moments that are compared. Offsets before 1973 may have seconds, which Node.js rounds; the steps meet each day of a year once. */
const [FIRST_MS, LAST_MS, STEP_MS] = [Date.UTC(1973), Date.UTC(2038), 23 * DAY_MS];
/** Step if the zone is that of the system, which Node.js finds too: each thread compares, and each offset costs 5 µs. */
const LONG_STEP_MS = 391 * DAY_MS;
const FIELDS = [
  'FullYear',
  'Month',
  'Date',
  'Hours',
  'Minutes',
  'Seconds',
  'Milliseconds',
] as const;

type Zone = Pick<NativeCalls, 'localOffset'>;
let isUsed = false;

/**
 * Replaces the local times of Date in this thread, if those of the C library are others. A zone that the system has no file of is
 * UTC there; Node.js has its own.
 */
export function useSystemZone(zone: Zone): void {
  if (isUsed) return;
  isUsed = true;
  const { TZ, TZDIR } = process.env;
  const stepMs = TZ === undefined && TZDIR === undefined ? LONG_STEP_MS : STEP_MS;
  let [differs, isUtc] = [false, true];
  for (let ms = FIRST_MS; ms < LAST_MS; ms += stepMs) {
    const offset = offsetMs(zone, ms);
    differs ||= offset !== -new Date(ms).getTimezoneOffset() * MINUTE_MS;
    isUtc &&= offset === 0;
  }
  const isWithoutFile = isUtc && TZ !== undefined && TZ !== '' && TZDIR === undefined;
  if (differs && !isWithoutFile) replaceLocalTime(zone);
}

function offsetMs(zone: Zone, ms: number): number {
  return Number.isNaN(ms) ? ms : zone.localOffset(Math.floor(ms / SECOND_MS)) * SECOND_MS;
}

/**
 * Returns the moment of a local time, as Date does: the earlier of two, and for a time that the clock passes over, that of the
 * offset before.
 */
function momentOf(zone: Zone, localMs: number): number {
  const [before, after] = [-DAY_MS, DAY_MS].map((by) => offsetMs(zone, localMs + by)) as [
    number,
    number,
  ];
  const isAfter =
    offsetMs(zone, localMs - before) !== before && offsetMs(zone, localMs - after) === after;
  return localMs - (isAfter ? after : before);
}

function replaceLocalTime(zone: Zone): void {
  const { prototype } = Date;
  // Its fields in UTC are the local ones.
  const shifted = (date: Date): Date => new Date(date.getTime() + offsetMs(zone, date.getTime()));
  for (const field of [...FIELDS, 'Day'] as const) {
    prototype[`get${field}`] = function get(this: Date) {
      return shifted(this)[`getUTC${field}`]();
    };
  }
  for (const field of FIELDS) {
    prototype[`set${field}`] = function set(this: Date, ...values: [number]) {
      const local = shifted(this);
      local[`setUTC${field}`](...values);
      return this.setTime(momentOf(zone, local.getTime()));
    };
  }
  prototype.getTimezoneOffset = function getTimezoneOffset(this: Date) {
    return -offsetMs(zone, this.getTime()) / MINUTE_MS;
  };
  globalThis.Date = new Proxy(Date, {
    construct(target, values: [number, number], made) {
      const given = values.length > 1 ? [momentOf(zone, Date.UTC(...values))] : values;
      return Reflect.construct(target, given, made) as Date;
    },
  });
}
