/** Formats numbers of bytes for display. */
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
