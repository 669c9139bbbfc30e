/** Parses and formats sizes. */
import { mustBe } from './invalid.js';

const UNITS = ['', 'K', 'M', 'G', 'T'];

/** Parses a number of bytes with an optional unit K, M, G or T (powers of 1024). Throws CONFIG_INVALID. */
export function parseSize(text: string, where: string): number {
  const match = /^(\d{1,15})\s*([kmgt]?)i?b?$/i.exec(text.trim());
  if (match === null) throw mustBe(where, text, 'a size such as 512K or 16M');
  return Number(match[1]) * 1024 ** UNITS.indexOf(match[2]!.toUpperCase());
}

/** Formats a size for `parseSize`, with the largest unit that leaves a whole number. */
export function formatSize(bytes: number): string {
  let unit = 0;
  let count = bytes;
  while (count > 0 && count % 1024 === 0 && unit < UNITS.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count}${UNITS[unit]!}`;
}
