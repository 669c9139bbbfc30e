/** A page of a directory in any order. It needs memory for the page only, however large the directory is. */
import type { History, HistoryEntry } from '../../history/index.js';
import { TardisError } from '../../errors/index.js';
import { type DirectoryId, EntryType, type SetNumber } from '../../model/index.js';
import { yieldRegularly } from '../../system/index.js';
import { invalidRequest } from './problem.js';

/** Number of entries requested from a history at once. */
const PAGE_ENTRIES = 4096;
const NO_NAME: Buffer = Buffer.alloc(0);

type SortKey = 'name' | 'natural' | 'size' | 'modified';

interface DirectoryQuery {
  readonly limit: number;
  readonly after: string | undefined;
  readonly sort: SortKey;
  readonly isDescending: boolean;
}

interface DirectoryPage {
  readonly entries: readonly HistoryEntry[];
  /** The cursor of the next page; undefined if this is the last one. */
  readonly next: string | undefined;
  /** Number of entries of the directory; undefined if they were not counted. */
  readonly total?: number;
}

/**
 * Returns a page of a directory. Throws NO_SUCH_PATH if the path is not a directory, NO_ACCESS, REQUEST_INVALID for a
 * bad cursor.
 */
export async function directoryPage(
  history: History,
  directory: HistoryEntry,
  set: SetNumber,
  query: DirectoryQuery,
): Promise<DirectoryPage> {
  if (directory.damage !== undefined) throw directory.damage;
  if (directory.type !== EntryType.directory || directory.childId === undefined) {
    throw new TardisError('NO_SUCH_PATH', 'the path is no directory');
  }
  if (!history.access.mayRead(directory)) {
    throw new TardisError('NO_ACCESS', 'no permission to list the directory');
  }
  const place = { directory: directory.childId, set };
  // The history returns large directories of an encrypting client in the order of their sealed names.
  const isInOrder = history.contentKeys === undefined;
  if (query.sort === 'name' && !query.isDescending && isInOrder)
    return byName(history, place, query);
  return selected(history, place, query);
}

interface Place {
  readonly directory: DirectoryId;
  readonly set: SetNumber;
}

async function byName(
  history: History,
  place: Place,
  { limit, after }: DirectoryQuery,
): Promise<DirectoryPage> {
  const from = after === undefined ? NO_NAME : cursorIn(after).name;
  const found: HistoryEntry[] = [];
  for (let last = from; found.length <= limit; ) {
    const requested = Math.min(PAGE_ENTRIES, limit + 1 - found.length);
    const page = await history.list({
      ...place,
      after: last,
      limit: requested,
      withDigests: false,
    });
    found.push(...page);
    if (page.length < requested) break;
    last = page.at(-1)!.name;
  }
  return pageOf(found, limit, 'name');
}

/** Selects the first entries after the cursor in one pass over the directory. */
async function selected(
  history: History,
  place: Place,
  { limit, after, sort, isDescending }: DirectoryQuery,
): Promise<DirectoryPage> {
  const cursor = after === undefined ? undefined : cursorIn(after);
  const sign = isDescending ? -1 : 1;
  const compare = (one: Key, other: Key): number => {
    // Directories come first in both directions.
    if (sort === 'natural' && one.value !== other.value) return compareValues(one, other);
    return sign * (sort === 'natural' ? compareNatural(one, other) : compareKeys(one, other));
  };
  const breathe = yieldRegularly();
  let best: Keyed[] = [];
  let total = 0;
  const keep = (): void => {
    best.sort((one, other) => compare(one.key, other.key));
    best = best.slice(0, limit + 1);
  };
  for (let last = NO_NAME; ; ) {
    const page = await history.list({
      ...place,
      after: last,
      limit: PAGE_ENTRIES,
      withDigests: false,
    });
    total += page.length;
    for (const entry of page) {
      const key = keyOf(entry, sort);
      if (cursor !== undefined && compare(key, cursor) <= 0) continue;
      best.push({ entry, key });
    }
    if (best.length > 2 * (limit + 1)) keep();
    if (page.length < PAGE_ENTRIES) break;
    last = page.at(-1)!.name;
    await breathe();
  }
  keep();
  const found = best.map(({ entry }) => entry);
  return { ...pageOf(found, limit, sort), total };
}

/** The place of an entry in an order: first by a value, then by name. */
interface Key {
  readonly value: bigint;
  readonly name: Buffer;
  /** The name as text, once it was needed. */
  text?: string;
}

interface Keyed {
  readonly entry: HistoryEntry;
  readonly key: Key;
}

function keyOf(entry: HistoryEntry, sort: SortKey): Key {
  const { name } = entry;
  if (sort === 'natural') return { value: entry.type === EntryType.directory ? 0n : 1n, name };
  if (sort === 'name' || entry.damage !== undefined) return { value: 0n, name };
  if (sort === 'modified') return { value: entry.mtimeNs, name };
  return { value: entry.type === EntryType.directory ? -1n : BigInt(entry.sizeBytes), name };
}

function compareKeys(one: Key, other: Key): number {
  return compareValues(one, other) || Buffer.compare(one.name, other.name);
}

function compareValues({ value: one }: Key, { value: other }: Key): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Compares names as people do; the page has the same order (`src/page/logic/rows.ts`). */
const NATURAL = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

function compareNatural(one: Key, other: Key): number {
  one.text ??= one.name.toString();
  other.text ??= other.name.toString();
  return NATURAL.compare(one.text, other.text) || Buffer.compare(one.name, other.name);
}

function pageOf(found: readonly HistoryEntry[], limit: number, sort: SortKey): DirectoryPage {
  if (found.length <= limit) return { entries: found, next: undefined };
  const entries = found.slice(0, limit);
  const { value, name } = keyOf(entries.at(-1)!, sort);
  return { entries, next: `${value}.${name.toString('base64url')}` };
}

const CURSOR = /^(-?\d{1,20})\.([\w-]{1,5500})$/;

function cursorIn(text: string): Key {
  const [, value, name] = CURSOR.exec(text) ?? [];
  if (value === undefined || name === undefined) throw invalidRequest('`after` is no cursor');
  return { value: BigInt(value), name: Buffer.from(name, 'base64url') };
}
