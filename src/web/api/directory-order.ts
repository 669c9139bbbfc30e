/**
 * Orders of directories. An order has the place of each entry in the list of the history, so any page of it costs as
 * much as reading the entries of that page.
 */
import type { History, HistoryEntry } from '../../history/index.js';
import { type DirectoryId, EntryType, NO_BYTES, type SetNumber } from '../../model/index.js';
import { BoundedCache, keepLoading, yieldRegularly } from '../../system/index.js';
import { invalidRequest } from './problem.js';

/** Number of entries that are requested from a history at once. A directory with fewer is read anew for each page. */
export const PAGE_ENTRIES = 4096;
/** Number of entries of a part of a directory: to show one entry, its part is read. */
const PART_ENTRIES = 256;
const PARTS_AT_ONCE = PAGE_ENTRIES / PART_ENTRIES;
/** Maximum number of entries that are merged by one look at them. */
const MERGED_AT_ONCE = 64;
/** Approximate number of bytes of a name that is kept, beside its own. */
const NAME_BYTES = 100;

export type SortKey = 'name' | 'natural' | 'size' | 'modified';

/** A directory, and the order in which its entries are requested. */
export interface Sorted {
  readonly directory: DirectoryId;
  readonly set: SetNumber;
  /** True if the set never changes, so that its orders may be kept. */
  readonly isFixed: boolean;
  readonly sort: SortKey;
  readonly isDescending: boolean;
}

interface OrderedPage {
  readonly entries: readonly HistoryEntry[];
  /** Number of entries of the directory. */
  readonly total: number;
}

interface Order {
  readonly total: number;
  /** For each place in the order, that in the list of the history; undefined if both are the same. */
  readonly places: Uint32Array | undefined;
  /** The last name of each part of the list. */
  readonly ends: readonly Buffer[];
  /** All entries of a small directory. */
  readonly whole: readonly HistoryEntry[] | undefined;
}

interface OrderLimits {
  /** Maximum number of bytes of all orders that are kept. An order takes about 4 bytes for each entry. */
  readonly keptBytes: number;
  /** Maximum number of entries of a directory that is sorted. While it is sorted, one at a time, each takes about 100 bytes. */
  readonly sortedEntries: number;
}

const ORDER_LIMITS: OrderLimits = Object.freeze({ keptBytes: 16 << 20, sortedEntries: 1 << 19 });

/** The orders of the directories of all histories that a program has open. */
export class DirectoryOrders {
  private readonly kept: BoundedCache<string, Order | Promise<Order>>;
  private readonly numbers = new WeakMap<History, number>();
  /** The end of the last sort of a large directory of each history. */
  private readonly sorting = new WeakMap<History, Promise<void>>();
  private histories = 0;

  constructor(private readonly limits: OrderLimits = ORDER_LIMITS) {
    this.kept = new BoundedCache(limits.keptBytes);
  }

  /**
   * Returns the entries of a directory from a place in an order on, at most `limit`. Throws REQUEST_INVALID for a
   * directory that is too large to be sorted.
   */
  async page(
    history: History,
    sorted: Sorted,
    { from, limit }: { readonly from: number; readonly limit: number },
  ): Promise<OrderedPage> {
    const key = this.keyOf(history, sorted);
    for (let isLast = false; ; isLast = true) {
      const order = await (this.kept.get(key) ?? this.made(history, sorted, key));
      const found = await entriesAt(history, sorted, order, range(from, from + limit, order.total));
      // The list differs from the order if a path was deleted from all sets, or if a backup is writing the set.
      if (found.isExact || isLast) return { entries: found.entries, total: order.total };
      this.kept.delete(key);
    }
  }

  private async made(history: History, sorted: Sorted, key: string): Promise<Order> {
    const making = this.sorted(history, sorted);
    if (!sorted.isFixed) return making;
    const order = await keepLoading(this.kept, key, making, bytesOf);
    if (order.whole !== undefined) this.kept.delete(key); // the next page is as cheap without it
    return order;
  }

  /**
   * Sorts a directory. Large ones of one history are sorted one after the other, since each takes much memory. Other histories
   * do not wait: they may be of other users, and a server may answer slowly.
   */
  private async sorted(history: History, sorted: Sorted): Promise<Order> {
    let leave = (): void => undefined;
    const turn = async (): Promise<void> => {
      const before = this.sorting.get(history);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.sorting.set(history, promise);
      leave = resolve;
      await before;
    };
    try {
      return await orderOf(history, sorted, { mostSorted: this.limits.sortedEntries, turn });
    } finally {
      leave();
    }
  }

  private keyOf(history: History, { directory, set, sort, isDescending }: Sorted): string {
    let number = this.numbers.get(history);
    if (number === undefined) {
      number = this.histories += 1;
      this.numbers.set(history, number);
    }
    return [number, set, directory, sort, isDescending].join('/');
  }
}

function bytesOf({ places, ends }: Order): number {
  const names = ends.reduce((sum, { length }) => sum + length + NAME_BYTES, 0);
  return (places?.byteLength ?? 0) + names;
}

function range(from: number, end: number, total: number): number[] {
  return Array.from({ length: Math.max(0, Math.min(end, total) - from) }, (_, at) => from + at);
}

interface Sorting {
  /** Maximum number of entries of a directory that is sorted. */
  readonly mostSorted: number;
  /** Called for a directory with more entries than one page. Resolves when these may be kept in memory. */
  readonly turn: () => Promise<void>;
}

/** Reads the whole directory, and sorts it. */
async function orderOf(
  history: History,
  sorted: Sorted,
  { mostSorted, turn }: Sorting,
): Promise<Order> {
  const { directory, set } = sorted;
  const keys = new SortKeys(sorted);
  const breathe = yieldRegularly();
  const ends: Buffer[] = [];
  const runs: Uint32Array[] = [];
  // Large directories of a client that encrypts are listed in the order of their sealed names.
  let isSorted = !isListed(history, sorted);
  let total = 0;
  for (let after = NO_BYTES; ; ) {
    const place = { directory, set, after, limit: PAGE_ENTRIES };
    const page = await history.list({ ...place, withDigests: false });
    for (let end = PART_ENTRIES; end < page.length + PART_ENTRIES; end += PART_ENTRIES) {
      ends.push(Buffer.from(page[Math.min(end, page.length) - 1]!.name)); // a copy, without its page
    }
    if (isSorted && total + page.length > mostSorted) {
      requireNatural(sorted, mostSorted);
      isSorted = false;
    }
    if (isSorted) runs.push(keys.added(page));
    total += page.length;
    if (page.length < PAGE_ENTRIES) {
      const places = isSorted ? await merged(runs, keys, breathe) : undefined;
      return { total, places, ends, whole: total === page.length ? page : undefined };
    }
    after = page.at(-1)!.name;
    if (total === PAGE_ENTRIES) await turn();
    await breathe();
  }
}

/** True if a history lists a directory in the order that is requested. */
export function isListed(
  { contentKeys }: History,
  { sort, isDescending }: Pick<Sorted, 'sort' | 'isDescending'>,
): boolean {
  return sort === 'name' && !isDescending && contentKeys === undefined;
}

/** Throws REQUEST_INVALID unless the order may be that of the list, since it is for people. */
function requireNatural({ sort }: Sorted, mostSorted: number): void {
  if (sort === 'natural') return;
  const most = mostSorted.toLocaleString('en');
  throw invalidRequest(`a directory of more than ${most} entries is sorted by name only`);
}

/** Keys by which entries are sorted: a value, then a name, then their place in the list. */
class SortKeys {
  private readonly values: (bigint | number)[] = [];
  private readonly texts: string[] = [];

  constructor(private readonly sorted: Pick<Sorted, 'sort' | 'isDescending'>) {}

  /** Adds the next entries of the list. Returns their places, sorted. */
  added(page: readonly HistoryEntry[]): Uint32Array {
    const { sort } = this.sorted;
    const first = this.texts.length;
    for (const entry of page) {
      this.values.push(valueOf(entry, sort));
      this.texts.push(entry.name.toString(sort === 'natural' ? 'utf8' : 'latin1'));
    }
    // An array is sorted faster than a typed one if much of it is in order already.
    const places = Array.from(page, (_, index) => first + index);
    return Uint32Array.from(places.sort((one, other) => this.compare(one, other)));
  }

  compare(one: number, other: number): number {
    const { sort, isDescending } = this.sorted;
    const sign = isDescending ? -1 : 1;
    const ofValues = compareValues(this.values[one]!, this.values[other]!);
    // Directories come first in both directions.
    if (ofValues !== 0) return sort === 'natural' ? ofValues : sign * ofValues;
    const [text, otherText] = [this.texts[one]!, this.texts[other]!];
    const ofNames = sort === 'natural' ? NATURAL.compare(text, otherText) : 0;
    return sign * (ofNames || compareValues(text, otherText) || one - other);
  }
}

function valueOf(entry: HistoryEntry, sort: SortKey): bigint | number {
  const isDirectory = entry.type === EntryType.directory;
  if (sort === 'natural') return isDirectory ? 0 : 1;
  if (sort === 'name' || entry.damage !== undefined) return 0;
  if (sort === 'modified') return entry.mtimeNs;
  return isDirectory ? -1 : entry.sizeBytes;
}

function compareValues<T extends bigint | number | string>(one: T, other: T): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Compares names as people do; the page has the same order (`src/page/logic/rows.ts`). */
const NATURAL = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

type Breathe = ReturnType<typeof yieldRegularly>;

/** Merges sorted runs into one. */
async function merged(
  given: readonly Uint32Array[],
  keys: SortKeys,
  breathe: Breathe,
): Promise<Uint32Array> {
  let runs = [...given];
  while (runs.length > 1) {
    const longer: Uint32Array[] = [];
    for (let at = 0; at < runs.length; at += 2) {
      const [one, other] = [runs[at]!, runs[at + 1]];
      longer.push(other === undefined ? one : await joined(one, other, keys, breathe));
    }
    runs = longer;
  }
  return runs[0]!;
}

async function joined(
  one: Uint32Array,
  other: Uint32Array,
  keys: SortKeys,
  breathe: Breathe,
): Promise<Uint32Array> {
  const all = new Uint32Array(one.length + other.length);
  let [left, right] = [one, other];
  for (let at = 0; left.length > 0 && right.length > 0; ) {
    const pause = breathe();
    if (pause !== undefined) await pause; // to wait for nothing would cost more than the step
    // Both are mostly in order already, so whole blocks of one come before the other.
    const isFirst = keys.compare(left[0]!, right[0]!) < 0;
    const [first, second] = isFirst ? [left, right] : [right, left];
    const block = first.subarray(0, MERGED_AT_ONCE);
    const isWhole = keys.compare(block.at(-1)!, second[0]!) < 0;
    const count = isWhole ? block.length : placeIn(block, second[0]!, keys);
    all.set(block.subarray(0, count), at);
    at += count;
    const rest = first.subarray(count);
    [left, right] = isFirst ? [rest, right] : [left, rest];
  }
  const rest = left.length > 0 ? left : right;
  all.set(rest, all.length - rest.length);
  return all;
}

/** Returns how many of some sorted places come before another one. */
function placeIn(sorted: Uint32Array, other: number, keys: SortKeys): number {
  let [from, end] = [0, sorted.length];
  while (from < end) {
    const middle = (from + end) >>> 1;
    if (keys.compare(sorted[middle]!, other) < 0) from = middle + 1;
    else end = middle;
  }
  return from;
}

interface FoundEntries {
  readonly entries: readonly HistoryEntry[];
  /** False if the list of the history is no longer as the order has it. */
  readonly isExact: boolean;
}

/** Reads the entries at some places of an order, with the parts of the list that have them. */
async function entriesAt(
  history: History,
  { directory, set }: Sorted,
  { total, places, ends, whole }: Order,
  requested: readonly number[],
): Promise<FoundEntries> {
  const listed = requested.map((place) => places?.[place] ?? place);
  if (whole !== undefined) return { entries: listed.map((at) => whole[at]!), isExact: true };
  const wanted = new Set(listed);
  const found = new Map<number, HistoryEntry>();
  const breathe = yieldRegularly();
  let isExact = true;
  for (const { first, count } of partsOf(listed)) {
    const from = first * PART_ENTRIES;
    const after = ends[first - 1] ?? NO_BYTES;
    const limit = count * PART_ENTRIES;
    const page = await history.list({ directory, set, after, limit, withDigests: false });
    for (const [index, entry] of page.entries()) {
      if (wanted.has(from + index)) found.set(from + index, entry);
    }
    const end = ends[Math.min(first + count, ends.length) - 1]!;
    isExact &&= page.length === Math.min(limit, total - from) && page.at(-1)!.name.equals(end);
    await breathe();
  }
  return { entries: listed.flatMap((at) => found.get(at) ?? []), isExact };
}

/** Returns the parts that contain some places of a list, neighbours together. */
function partsOf(places: readonly number[]): { readonly first: number; count: number }[] {
  const numbers = [...new Set(places.map((place) => Math.floor(place / PART_ENTRIES)))];
  const runs: { readonly first: number; count: number }[] = [];
  for (const number of numbers.sort((one, other) => one - other)) {
    const last = runs.at(-1);
    const isNext = last !== undefined && last.first + last.count === number;
    if (isNext && last.count < PARTS_AT_ONCE) last.count += 1;
    else runs.push({ first: number, count: 1 });
  }
  return runs;
}
