/** Formats numbers for people. */
import { offsetIfRepeated } from '../../model/index.js';
export { formatBytes } from '../../model/index.js';

export function formatCount(count: number): string {
  // toLocaleString is not used, since its first call takes 13 ms to load language data.
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** Returns `1 file`, `2 files`. `many` is needed if the plural is not the singular with an s. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

export function formatSeconds(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/**
 * Formats a time as local time that sorts by text. An option that takes a date reads it as that second. A time that
 * comes twice, because the clock is set back, has its offset from UTC.
 */
export function formatTime(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return 'no date'; // the time is outside the range of the calendar
  const pad = (value: number): string => String(value).padStart(2, '0');
  return (
    `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ` +
    `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}${offsetIfRepeated(ms)}`
  );
}

/** Aligns rows of text in columns; the columns listed in `right` (numbers) are aligned to the right. */
export function formatTable(
  rows: readonly (readonly string[])[],
  right: readonly number[],
): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column]!;
          return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
