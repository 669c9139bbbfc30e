/**
 * Values into which SQLite packs many rows, so that its binding makes no objects for each. Numbers are in decimal, each
 * with a sign behind it.
 *
 * A page of a directory has the number of entries, and how many of them have columns of the right types. Each entry
 * follows: the lengths of its name and metadata, its sets, flags and ids in decimal, and then the name and the metadata.
 * A value of `EntryTable.packedAsOf` has several pages, each preceded by its length.
 *
 * Among the places of contents, a content that is whole and in one piece has `=`, its digest, and five numbers: its size,
 * the pack, the position and the length of its record, and its offset there. Any other content, and one whose columns are
 * damaged, has `!`.
 */
import {
  contentIdOf,
  DIGEST_BYTES,
  type DirectoryId,
  SEAL_BYTES,
  type SetNumber,
} from '../../../model/index.js';
import { RecordKind } from '../../index.js';
import { type CatalogEntry, entryOfParts } from './stored-entry.js';

/** Returns the condition that a column has a number without a sign that JavaScript represents exactly. */
export function isCount(column: string): string {
  return `typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER}`;
}

const DIGIT_0 = 0x30;

/** Reads a packed value from its beginning on. */
class PackedReader {
  private at = 0;

  constructor(private readonly packed: Buffer) {}

  /** Returns the next byte; undefined behind the end. */
  byte(): number | undefined {
    const byte = this.packed[this.at];
    this.at += 1;
    return byte;
  }

  /** Returns a view of the next bytes. */
  bytes(count: number): Buffer {
    const from = this.at;
    this.at += count;
    return this.packed.subarray(from, this.at);
  }

  /** Reads a number, and the sign behind it. Returns undefined if there is only the sign. */
  number(): number | undefined {
    const { packed, at: from } = this;
    let at = from;
    let value = 0;
    for (
      let digit = packed[at]! - DIGIT_0;
      digit >= 0 && digit <= 9;
      digit = packed[at]! - DIGIT_0
    ) {
      value = value * 10 + digit;
      at += 1;
    }
    this.at = at + 1;
    return at === from ? undefined : value;
  }
}

const ENTRY_NUMBERS = ['first_set', 'last_set', 'flags', 'content_id', 'child_id'] as const;
const OPTIONAL: ReadonlySet<string> = new Set(['last_set', 'content_id', 'child_id']);

/** Returns the condition that a column has a number, or nothing if it may. */
function isSound(column: (typeof ENTRY_NUMBERS)[number]): string {
  return OPTIONAL.has(column) ? `(${column} IS NULL OR ${isCount(column)})` : isCount(column);
}

const IS_SOUND = [
  "typeof(name) = 'blob' AND typeof(metadata) = 'blob'",
  ...ENTRY_NUMBERS.map((column) => isSound(column)),
].join(' AND ');

/** Returns the query for a packed page, with the condition that selects entries by directory, name and set. */
export function packedEntriesQuery(condition: string): string {
  const numbers = ENTRY_NUMBERS.map((column) => `ifnull(${column}, '')`).join(" || ',' || ");
  return `
    SELECT CAST(count(*) || ',' || ifnull(sum(${IS_SOUND}), 0) || ';' ||
      ifnull(group_concat(length(name) || ',' || length(metadata) || ',' || ${numbers} || ';' ||
        name || metadata, ''), '') AS BLOB)
    FROM (
      SELECT name, ${ENTRY_NUMBERS.join(', ')}, metadata FROM entries WHERE ${condition} ORDER BY name LIMIT ?)`;
}

/**
 * Returns the entries of a packed page, whose names and metadata are views of it. Undefined if one is not sound. `hashes`
 * has SEAL_BYTES for each entry of an opened page: the proof of its content.
 */
export function entriesOfPacked(
  packed: Buffer,
  directory: DirectoryId,
  hashes?: Buffer,
): CatalogEntry[] | undefined {
  const reader = new PackedReader(packed);
  const count = reader.number() ?? 0;
  if (reader.number() !== count) return undefined;
  const entries: CatalogEntry[] = [];
  for (let index = 0; index < count; index += 1) {
    const [nameBytes, metadataBytes] = [reader.number() ?? 0, reader.number() ?? 0];
    const firstSet: SetNumber = reader.number() ?? 0;
    const [lastSet, flags, content] = [reader.number(), reader.number() ?? 0, reader.number()];
    const childId = reader.number();
    const name = reader.bytes(nameBytes);
    const metadata = reader.bytes(metadataBytes);
    entries.push(
      entryOfParts({
        directory,
        name,
        firstSet,
        lastSet,
        flags,
        contentId: content === undefined ? undefined : contentIdOf(content),
        childId,
        metadata,
        proof: hashes && { hashes, at: index * SEAL_BYTES },
      }),
    );
  }
  return entries;
}

const PLACE_NUMBERS = ['size_bytes', 'pack', 'position', 'record_bytes', 'offset'] as const;

const IS_WHOLE = [
  'basis_id IS NULL',
  `kind <> ${RecordKind.assembly}`,
  "typeof(kind) = 'integer'",
  `typeof(digest) = 'blob' AND length(digest) = ${DIGEST_BYTES}`,
  ...PLACE_NUMBERS.map((column) => isCount(column)),
].join(' AND ');

/** Query for the packed places of contents, whose ids are a JSON array, in its order. */
export const PACKED_PLACES: string = `
  SELECT CAST(ifnull(group_concat(place, ''), '') AS BLOB)
  FROM (
    SELECT CASE WHEN ${IS_WHOLE}
      THEN '=' || digest || ${PLACE_NUMBERS.join(" || ',' || ")} || ';' ELSE '!' END AS place
    FROM json_each(?) AS wanted LEFT JOIN contents ON contents.content_id = wanted.value
    LEFT JOIN records USING (record_id) ORDER BY wanted.key)`;

const WHOLE = 0x3d;

/** The place of a content that is whole and in one piece. */
export interface PlaceOfWhole {
  readonly digest: Buffer;
  readonly sizeBytes: number;
  readonly pack: number;
  readonly position: number;
  readonly recordBytes: number;
  readonly offset: number;
}

/** Reads the places of a packed value one after the other. The digests are views of it. */
export class PackedPlaces {
  private readonly reader: PackedReader;

  constructor(packed: Buffer) {
    this.reader = new PackedReader(packed);
  }

  /** Returns the next place; undefined if the content is not whole, or the value has ended. */
  next(): PlaceOfWhole | undefined {
    const { reader } = this;
    if (reader.byte() !== WHOLE) return undefined;
    const digest = reader.bytes(DIGEST_BYTES);
    const sizeBytes = reader.number() ?? 0;
    const pack = reader.number() ?? 0;
    const position = reader.number() ?? 0;
    const recordBytes = reader.number() ?? 0;
    return { digest, sizeBytes, pack, position, recordBytes, offset: reader.number() ?? 0 };
  }
}

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
