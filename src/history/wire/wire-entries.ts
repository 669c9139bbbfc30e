/**
 * Codecs of entries: a listing, one entry, and the versions of a path. Data from the peer is checked here, so that
 * readers can rely on every number, row and name.
 */
import { damagedEntry, entryOfParts, type ListingPage } from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
import {
  appendRow,
  BytesBuilder,
  checkRows,
  contentIdOf,
  forEachRow,
  isEntryName,
  metadataOf,
} from '../../model/index.js';
import { type Body, ENTRY_NUMBERS, MAX_PAGE_ENTRIES } from '../../transport/index.js';
import type { HistoryEntry, PathVersion } from '../history.js';
import { type Coder, fitting, odd, refused } from './coder.js';

type Fields = Body<'entriesAre'>;

const NONE = 0;

/**
 * Encodes entries. `more` is true if further entries follow. `spans` has the first and the last set of each version, or
 * is empty.
 */
export function entriesToWire(
  entries: readonly HistoryEntry[],
  more: boolean,
  spans: readonly number[] = [],
): Fields {
  const rows = new BytesBuilder(entries.length * ROW_HINT_BYTES);
  const numbers: number[] = [];
  for (const entry of entries) {
    const { directory, firstSet, lastSet, contentId, childId, name } = entry;
    const isNamed = isEntryName(name);
    const flags = entry.damage === undefined && isNamed ? entry.flags : DAMAGED_FLAG;
    appendRow(rows, entry.metadata, isNamed ? name : NO_NAME, entry.digest);
    numbers.push(directory, firstSet, lastSet ?? NONE, contentId ?? NONE, childId ?? NONE, flags);
  }
  return { rows: rows.take(), numbers, spans, more };
}

const ROW_HINT_BYTES = 160;
/** Value sent for the flags of a damaged entry, of which only the name is known. */
const DAMAGED_FLAG = 0x100;
/** Name sent for an entry whose own name is invalid. */
const NO_NAME: Buffer = Buffer.from('?');

/** Decodes entries. Throws PROTOCOL_VIOLATION if they are malformed. */
export function entriesFromWire({
  rows: bytes,
  numbers,
}: Pick<Fields, 'rows' | 'numbers'>): HistoryEntry[] {
  const rows = checkRows(bytes, false);
  const entries: HistoryEntry[] = [];
  forEachRow(rows, (at) => {
    const from = entries.length * ENTRY_NUMBERS;
    const [directory, firstSet, lastSet, contentId, childId, flags] = numbers.slice(
      from,
      from + ENTRY_NUMBERS,
    );
    if (flags === undefined || flags > DAMAGED_FLAG) throw odd('entries');
    const given = (value: number | undefined): number | undefined =>
      value === NONE ? undefined : value;
    const isDamaged = flags === DAMAGED_FLAG;
    const entry = entryOfParts({
      directory: directory!,
      name: Buffer.from(rows.name(at)),
      firstSet: firstSet!,
      lastSet: given(lastSet),
      flags: isDamaged ? 0 : flags,
      contentId: contentId === NONE ? undefined : contentIdOf(contentId!),
      childId: given(childId),
      metadata: metadataOf(rows, at),
      digest: rows.hasDigest(at) ? Buffer.from(rows.digest(at)) : undefined,
    });
    entries.push(isDamaged ? damagedEntry(entry, rowDamaged()) : entry);
  });
  if (numbers.length !== entries.length * ENTRY_NUMBERS) throw odd('entries');
  return entries;
}

export const VERSIONS: Coder<readonly PathVersion[], Fields, unknown> = {
  toWire: (versions) => {
    const spans = versions.flatMap(({ firstSet, lastSet }) => [firstSet, lastSet ?? NONE]);
    const entries = versions.map(({ entry }) => entry);
    return entriesToWire(entries, false, spans);
  },
  fromWire: (fields) => {
    const entries = entriesFromWire(fields);
    const { spans } = fields;
    if (spans.length !== entries.length * 2) throw odd('versions');
    return entries.map((entry, index) => {
      const lastSet = spans[index * 2 + 1]!;
      return {
        entry,
        firstSet: spans[index * 2]!,
        lastSet: lastSet === NONE ? undefined : lastSet,
      };
    });
  },
};

/** The entry at a path, if there is one. */
export const ENTRY: Coder<HistoryEntry | undefined, Fields, unknown> = {
  toWire: (entry) => entriesToWire(entry === undefined ? [] : [entry], false),
  fromWire: (fields) => entriesFromWire(fields)[0],
};

/** A request for a page of a listing. A server limits the size of the page. */
export const LISTING: Coder<ListingPage, Body<'readListing'>, unknown> = {
  toWire: (page) => page,
  fromWire: ({ limit, ...page }) => {
    if (limit === 0) throw refused('a limit');
    return { ...page, limit: Math.min(limit, MAX_PAGE_ENTRIES) };
  },
};

/** A page of a listing; with `hasMore`, further entries follow. */
interface EntryPage {
  readonly entries: readonly HistoryEntry[];
  readonly hasMore: boolean;
}

export const PAGE: Coder<EntryPage, Fields, Pick<ListingPage, 'after'>> = {
  toWire: ({ entries, hasMore }) => {
    const sent = fitting(entries, ({ metadata, name }) => metadata.length + name.length);
    return entriesToWire(sent, hasMore || sent.length < entries.length);
  },
  fromWire: (fields, { after }) => {
    const entries = entriesFromWire(fields);
    let last = after;
    for (const { name } of entries) {
      if (Buffer.compare(name, last) <= 0) throw odd('entries');
      last = name;
    }
    return { entries, hasMore: fields.more && entries.length > 0 };
  },
};

function rowDamaged(): TardisError {
  return new TardisError('CATALOG_DAMAGED', 'its row in the catalog of the server is damaged');
}
