/**
 * A page of a directory as one value, so that SQLite's binding makes no row, name and metadata for each entry. The value
 * has the number of entries, and how many of them have columns of the right types. Each entry follows: the lengths of
 * its name and metadata, its sets, flags and ids in decimal, and then the name and the metadata.
 */
import { contentIdOf, type DirectoryId, type SetNumber } from '../../model/index.js';
import { type CatalogEntry, entryOfParts } from './stored-entry.js';

const NUMBERS = ['first_set', 'last_set', 'flags', 'content_id', 'child_id'] as const;
const OPTIONAL: ReadonlySet<string> = new Set(['last_set', 'content_id', 'child_id']);

/** Returns the condition that a column has a number without a sign that JavaScript represents exactly. */
function isCount(column: (typeof NUMBERS)[number]): string {
  const isNumber = `typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER}`;
  return OPTIONAL.has(column) ? `(${column} IS NULL OR ${isNumber})` : isNumber;
}

const IS_SOUND = [
  "typeof(name) = 'blob' AND typeof(metadata) = 'blob'",
  ...NUMBERS.map((column) => isCount(column)),
].join(' AND ');

/** Returns the query for a packed page, with the condition that selects entries by directory, name and set. */
export function packedEntriesQuery(condition: string): string {
  const numbers = NUMBERS.map((column) => `ifnull(${column}, '')`).join(" || ',' || ");
  return `
    SELECT CAST(count(*) || ',' || ifnull(sum(${IS_SOUND}), 0) || ';' ||
      ifnull(group_concat(length(name) || ',' || length(metadata) || ',' || ${numbers} || ';' ||
        name || metadata, ''), '') AS BLOB)
    FROM (
      SELECT name, ${NUMBERS.join(', ')}, metadata FROM entries WHERE ${condition} ORDER BY name LIMIT ?)`;
}

const DIGIT_0 = 0x30;

/** Returns the entries of a packed page, whose names and metadata are views of it. Undefined if one is not sound. */
export function entriesOfPacked(
  packed: Buffer,
  directory: DirectoryId,
): CatalogEntry[] | undefined {
  let at = 0;
  const number = (): number | undefined => {
    const from = at;
    let value = 0;
    for (
      let digit = packed[at]! - DIGIT_0;
      digit >= 0 && digit <= 9;
      digit = packed[at]! - DIGIT_0
    ) {
      value = value * 10 + digit;
      at += 1;
    }
    at += 1; // the sign behind it
    return at === from + 1 ? undefined : value;
  };
  const count = number() ?? 0;
  if (number() !== count) return undefined;
  const entries: CatalogEntry[] = [];
  for (let index = 0; index < count; index += 1) {
    const [nameBytes, metadataBytes] = [number() ?? 0, number() ?? 0];
    const firstSet: SetNumber = number() ?? 0;
    const [lastSet, flags, content, childId] = [number(), number() ?? 0, number(), number()];
    const nameEnd = at + nameBytes;
    const name = packed.subarray(at, nameEnd);
    at = nameEnd + metadataBytes;
    const metadata = packed.subarray(nameEnd, at);
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
        digest: undefined,
      }),
    );
  }
  return entries;
}
