/** Splits the value of `EntryTable.packedAsOf` into its pages, each of which is preceded by its length. */

const DIGIT_0 = 0x30;
const SEMICOLON = 0x3b;

/** A page for `packListing`: a range of a value. */
export interface FetchedPage {
  readonly value: Buffer;
  readonly from: number;
  readonly bytes: number;
}

/** Returns the pages up to the first malformed length. */
export function packedPagesIn(value: Buffer): FetchedPage[] {
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
