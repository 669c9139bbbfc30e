/** Units of time, and sizes, ages and shares in words. Times are in milliseconds; those of entries are in nanoseconds. */
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
export const SECOND_NS = 1_000_000_000n;

/** Units of sizes. */
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/**
 * Returns a number of bytes in the largest decimal unit that fits, with one decimal below 100 (none for plain
 * bytes).
 */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Returns an age in minutes, hours or days. */
export function ageText(ms: number): string {
  const [count, unit] =
    ms < 2 * HOUR_MS
      ? [Math.floor(ms / 60_000), 'minute']
      : ms < 2 * DAY_MS
        ? [Math.floor(ms / HOUR_MS), 'hour']
        : [Math.floor(ms / DAY_MS), 'day'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

/** Returns a share in percent, rounded down: only all of it is 100 %. */
export function percentText(share: number): string {
  const percent = Math.floor(share * 100);
  return percent === 0 ? 'less than 1 %' : `${percent} %`;
}

/** Returns a day in local time, as in 2026-03-03. */
export function dayText(ms: number): string {
  const date = new Date(ms);
  const two = (count: number): string => String(count).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
