/** Pages of directories as the catalog packs them: several pages in one value, each preceded by its length. */
import type { History } from '../history/index.js';

const DIGIT_0 = 0x30;
const SEMICOLON = 0x3b;

type RequestedPages = Parameters<NonNullable<History['listPacked']>>[0];

/** A page for `packListing`, as a range of bytes in a value. */
export interface FetchedPage {
  readonly value: Buffer;
  readonly from: number;
  readonly bytes: number;
}

/**
 * Returns a page for each directory. Returns none if the history has no packed pages, or in case of an error, which
 * `list` then reports.
 */
export function fetchPages(history: History, requested: RequestedPages): FetchedPage[] {
  let value: Buffer | undefined;
  try {
    value = history.listPacked?.(requested);
  } catch {
    return []; // `list` reports the error
  }
  const pages = value === undefined ? [] : pagesIn(value);
  return pages.length === requested.directories.length ? pages : [];
}

/** Returns the pages up to the first malformed length. */
function pagesIn(value: Buffer): FetchedPage[] {
  const pages: FetchedPage[] = [];
  for (let at = 0; at < value.length; ) {
    let bytes = 0;
    for (; at < value.length && value[at] !== SEMICOLON; at += 1) {
      const digit = value[at]! - DIGIT_0;
      if (digit < 0 || digit > 9 || bytes > value.length) return pages;
      bytes = bytes * 10 + digit;
    }
    const from = at + 1;
    at = from + bytes;
    if (at > value.length) return pages;
    pages.push({ value, from, bytes });
  }
  return pages;
}
