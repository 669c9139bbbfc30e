/**
 * A page of a directory as one value, so that SQLite's binding makes no row, name and metadata for each entry. The value
 * has the number of entries, and how many of them have columns of the right types. Each entry follows: the lengths of
 * its name and metadata, its sets, flags and ids in decimal, and then the name and the metadata.
 */
import { contentIdOf, type DirectoryId, type SetNumber } from '../../model/index.js';
import { isCount, PackedReader } from './packed-numbers.js';
import { type CatalogEntry, entryOfParts } from './stored-entry.js';

const NUMBERS = ['first_set', 'last_set', 'flags', 'content_id', 'child_id'] as const;
const OPTIONAL: ReadonlySet<string> = new Set(['last_set', 'content_id', 'child_id']);

/** Returns the condition that a column has a number, or nothing if it may. */
function isSound(column: (typeof NUMBERS)[number]): string {
  return OPTIONAL.has(column) ? `(${column} IS NULL OR ${isCount(column)})` : isCount(column);
}

const IS_SOUND = [
  "typeof(name) = 'blob' AND typeof(metadata) = 'blob'",
  ...NUMBERS.map((column) => isSound(column)),
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

/** Returns the entries of a packed page, whose names and metadata are views of it. Undefined if one is not sound. */
export function entriesOfPacked(
  packed: Buffer,
  directory: DirectoryId,
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
        digest: undefined,
      }),
    );
  }
  return entries;
}
