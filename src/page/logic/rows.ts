/** The rows of the list of entries: of a directory with its deleted entries, or of a search. */
import { joinPath, type Named, nameOf, pathOf, segmentOf } from './paths.js';
import type { Order, Sort } from './place.js';

/** The part of an entry that rows need. */
interface RowEntry extends Named {
  readonly type: string;
  readonly sizeBytes: number;
  readonly modifiedNs: string;
}

export interface Row<E extends RowEntry = RowEntry> {
  readonly path: string;
  /** Undefined for a directory above the roots. */
  readonly entry: E | undefined;
  readonly name: string;
  /** Number of a set that has this version; undefined if it is the browsed set. */
  readonly inSet: number | undefined;
  /** True if the browsed set has no entry at this path. */
  readonly isDeleted: boolean;
  /** Change of the path by the browsed set, in a list of changes. */
  readonly change?: ChangeKind;
}

type ChangeKind = 'new' | 'changed' | 'gone';

export function rowOf<E extends RowEntry>(directory: string, entry: E): Row<E> {
  const path = joinPath(directory, segmentOf(entry));
  return { path, entry, name: entry.name, inSet: undefined, isDeleted: false };
}

/** Returns a comparison function for the order in which the API sorts. Rows with equal values are sorted by name. */
export function comparison(
  sort: Sort,
  order: Order,
): (a: Row<RowEntry>, b: Row<RowEntry>) => number {
  const sign = order === 'desc' ? -1 : 1;
  return (a, b) => {
    if (sort === 'name') return compareKinds(a, b) || sign * compareNames(a.name, b.name);
    return sign * (compareValues(a, b, sort) || compareTexts(a.name, b.name));
  };
}

function compareValues(a: Row<RowEntry>, b: Row<RowEntry>, sort: Sort): number {
  if (sort === 'name' || a.entry === undefined || b.entry === undefined) return 0;
  if (sort === 'size') return sizeOf(a.entry) - sizeOf(b.entry);
  const [one, other] = [BigInt(a.entry.modifiedNs), BigInt(b.entry.modifiedNs)];
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Returns the size to sort by; −1 for a directory, which sorts below every file. */
function sizeOf({ type, sizeBytes }: RowEntry): number {
  return type === 'directory' ? -1 : sizeBytes;
}

/** Directories come before all else, in both directions. */
function compareKinds(a: Row<RowEntry>, b: Row<RowEntry>): number {
  const rank = ({ entry }: Row<RowEntry>): number => (entry?.type === 'directory' ? 0 : 1);
  return rank(a) - rank(b);
}

/** Compares names as people do; the API has the same order (`src/web/api/directory-page.ts`). */
const NATURAL = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

function compareNames(a: string, b: string): number {
  return NATURAL.compare(a, b) || compareTexts(a, b);
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

type Rows<E extends RowEntry> = readonly (Row<E> | undefined)[];

/**
 * Returns rows with the deleted rows in their places. Those that come where rows are not loaded yet are omitted until
 * these are, and those behind the last row until no more rows follow (`isCounted`).
 */
export function withDeleted<E extends RowEntry>(
  rows: Rows<E>,
  deleted: readonly Row<E>[],
  compare: (a: Row<RowEntry>, b: Row<RowEntry>) => number,
  isCounted: boolean,
): Rows<E> {
  if (deleted.length === 0) return rows;
  const waiting = deleted.toSorted(compare);
  const merged: (Row<E> | undefined)[] = [];
  let next = 0;
  for (const [index, row] of rows.entries()) {
    const from = next;
    if (row !== undefined) {
      while (next < waiting.length && compare(waiting[next]!, row) < 0) next += 1;
    }
    const isAfterGap = index > 0 && rows[index - 1] === undefined;
    if (!isAfterGap) merged.push(...waiting.slice(from, next));
    merged.push(row);
  }
  const isAtEnd = isCounted && (rows.length === 0 || rows.at(-1) !== undefined);
  return isAtEnd ? [...merged, ...waiting.slice(next)] : merged;
}

/** Returns how many of the first rows are deleted ones. */
export function deletedBefore(rows: Rows<RowEntry>, end: number): number {
  let count = 0;
  for (let index = 0; index < end; index += 1) if (rows[index]?.isDeleted === true) count += 1;
  return count;
}

/** A version that a search found. */
interface FoundVersion<E extends RowEntry> {
  readonly path: string;
  readonly pathBytes?: string | undefined;
  readonly entry: E;
  readonly firstSet: number;
  readonly lastSet?: number | undefined;
  /** Number of the newest listed set that contains the version. */
  readonly set: number;
}

/** Returns one row for each path, with its newest version, in the order of the results. */
export function foundRows<E extends RowEntry>(found: readonly FoundVersion<E>[]): Row<E>[] {
  const newest = new Map<string, FoundVersion<E>>();
  for (const one of found) {
    const path = pathOf(one.path, one.pathBytes);
    const known = newest.get(path);
    if (known === undefined || one.firstSet > known.firstSet) newest.set(path, one);
  }
  return [...newest].map(([path, { entry, lastSet, set }]) => ({
    path,
    entry,
    name: entry.name,
    inSet: set,
    isDeleted: lastSet !== undefined,
  }));
}

/** A path that differs between a set and the set before it. */
interface ChangedPath<E extends RowEntry> {
  readonly path: string;
  readonly pathBytes?: string | undefined;
  readonly kind: ChangeKind;
  readonly before?: E | undefined;
  readonly after?: E | undefined;
}

/** Returns the row of a difference. If the path is gone, the row shows the entry of the set `from`. */
export function changedRow<E extends RowEntry>(
  { path: text, pathBytes, kind, before, after }: ChangedPath<E>,
  from: number | undefined,
): Row<E> {
  const path = pathOf(text, pathBytes);
  const isDeleted = kind === 'gone';
  return {
    path,
    entry: after ?? before,
    name: nameOf(path),
    inSet: isDeleted ? from : undefined,
    isDeleted,
    change: kind,
  };
}

/**
 * Returns the index of the next row whose name begins with a text, without regard to case; undefined if there is none.
 * The search begins at `from`, and continues from the first row.
 */
export function rowBeginning(rows: Rows<RowEntry>, text: string, from: number): number | undefined {
  const wanted = text.toLowerCase();
  for (let step = 0; step < rows.length; step += 1) {
    const index = (from + step) % rows.length;
    if (rows[index]?.name.toLowerCase().startsWith(wanted) === true) return index;
  }
  return undefined;
}
