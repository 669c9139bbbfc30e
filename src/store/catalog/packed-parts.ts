/** Splits the value of `EntryTable.packedAsOf` into its pages, each of which is preceded by its length. */

const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const COLON = 0x3a;
/** A page without bytes, with its length before it. */
const NO_PAGE: Buffer = Buffer.from('0;');

/** A packed page: `bytes` bytes of `value`, beginning at `from`. The value may have more pages. */
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

/** Returns pages as one value, each with its length before it. A page that is undefined has no bytes. */
export function joinPackedPages(pages: readonly (Buffer | undefined)[]): Buffer {
  return Buffer.concat(
    pages.flatMap((page) =>
      page === undefined ? [NO_PAGE] : [Buffer.from(`${page.length};`), page],
    ),
  );
}

/** Returns the head of a page with so many entries, all sound. Its last character shows if they are sorted by name. */
export function packedHead(entries: number, isSorted: boolean): Buffer {
  return Buffer.from(`${entries},${entries}${isSorted ? ';' : ':'}`);
}

/** Returns one page with the entries of several pages, which follow one another in a directory. */
export function joinEntries(pages: readonly FetchedPage[]): Buffer {
  const sound = pages.map(({ value, from }) => numberAt(value, value.indexOf(COMMA, from) + 1));
  const [entries, soundEntries] = [sumOf(pages.map(entriesIn)), sumOf(sound)];
  const rows = pages.map(({ value, from, bytes }) =>
    value.subarray(firstEntry(value, from), from + bytes),
  );
  return Buffer.concat([Buffer.from(`${entries},${soundEntries};`), ...rows]);
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/** Returns the number of entries in the head of a page. */
export function entriesIn({ value, from }: FetchedPage): number {
  return numberAt(value, from);
}

/** Returns a copy of the last name in a page; undefined if the page has no entries, or is malformed. */
export function lastNameIn(page: FetchedPage): Buffer | undefined {
  const { value, from, bytes } = page;
  const end = from + bytes;
  let last: number | undefined;
  let left = entriesIn(page);
  for (let at = firstEntry(value, from); left > 0 && at < end; left -= 1) {
    last = at;
    at = endOfEntry(value, at);
  }
  return last === undefined || left > 0 ? undefined : Buffer.from(nameAt(value, last));
}

/** Returns the offset after the head of a page, which begins at `from`. */
export function firstEntry(value: Buffer, from = 0): number {
  let at = from;
  while (at < value.length && value[at] !== SEMICOLON && value[at] !== COLON) at += 1;
  return at + 1;
}

/** Returns the name of the entry at an offset. */
export function nameAt(value: Buffer, at: number): Buffer {
  const from = value.indexOf(SEMICOLON, at) + 1;
  return value.subarray(from, from + numberAt(value, at));
}

/** Returns the offset after the entry at an offset. */
export function endOfEntry(value: Buffer, at: number): number {
  const from = value.indexOf(SEMICOLON, at) + 1;
  return from + numberAt(value, at) + numberAt(value, value.indexOf(COMMA, at) + 1);
}

/** Returns the decimal number at an offset. */
function numberAt(value: Buffer, from: number): number {
  let number = 0;
  for (let at = from; at < value.length; at += 1) {
    const byte = value[at]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) break;
    number = number * 10 + byte - DIGIT_0;
  }
  return number;
}
