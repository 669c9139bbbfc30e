/** A list whose length is known with its first page. Further pages are loaded where the list is looked at. */
import type { ApiError } from './api.js';
import { MAX_ITEMS, useSteps } from './hooks.js';

/** Number of items in a page, which must come quickly, and in one of those that make the list whole. */
const PAGE_ITEMS = 1000;
const LARGE_PAGE_ITEMS = 10_000;
/** Number of items before and after those in view that are loaded, too, so that scrolling shows no gap. */
const NEAR_ITEMS = 200;

interface CountedPage<T> {
  readonly items: readonly T[];
  /** Number of items of the whole list. */
  readonly total: number;
}

export interface Counted<T> {
  /** The items, undefined where they are not loaded yet. The same array is filled with each page. */
  readonly items: readonly (T | undefined)[];
  /** Number of items that are loaded. */
  readonly loaded: number;
  /** True once the number of items is known. */
  readonly isCounted: boolean;
  /** True if the list has more items than the page shows. */
  readonly isFull: boolean;
  readonly error: ApiError | undefined;
  /** Loads the items of a range, and no more those of the range before. */
  readonly show: (first: number, end: number) => void;
  /** Loads all items. */
  readonly all: () => void;
  /** Tries again after an error. */
  readonly again: () => void;
}

interface Slots<T> {
  readonly items: (T | undefined)[];
  loaded: number;
  /** Number of items of the whole list; undefined until the first page has come. */
  total: number | undefined;
  wanted: readonly [first: number, end: number];
  loadsAll: boolean;
}

function noSlots<T>(): Slots<T> {
  return { items: [], loaded: 0, total: undefined, wanted: [0, PAGE_ITEMS], loadsAll: false };
}

interface Range {
  readonly from: number;
  readonly limit: number;
}

/** Returns the index of the first item of a range that is not loaded. */
function missingIn(items: readonly unknown[], first: number, end: number): number | undefined {
  for (let at = Math.max(0, first); at < Math.min(end, items.length); at += 1) {
    if (items[at] === undefined) return at;
  }
  return undefined;
}

/** Returns the range to request next; undefined if nothing that is wanted is missing. */
function missingRange<T>({ items, total, wanted, loadsAll }: Slots<T>): Range | undefined {
  if (total === undefined) return { from: 0, limit: PAGE_ITEMS };
  const [first, end] = wanted;
  const near =
    missingIn(items, first, end) ?? missingIn(items, first - NEAR_ITEMS, end + NEAR_ITEMS);
  if (near !== undefined) return { from: near - (near % PAGE_ITEMS), limit: PAGE_ITEMS };
  const at = loadsAll ? items.indexOf(undefined) : -1;
  return at < 0 ? undefined : { from: at, limit: LARGE_PAGE_ITEMS };
}

/** Takes a page. If it lacks items, since the list became shorter meanwhile, the list ends with it. */
function takePage<T>(
  slots: Slots<T>,
  { from, limit }: Range,
  { items, total }: CountedPage<T>,
): void {
  const isShort = items.length < Math.min(limit, total - from);
  const length = Math.min(isShort ? from + items.length : total, MAX_ITEMS);
  while (slots.items.length < length) slots.items.push(undefined);
  slots.items.length = length;
  for (const [index, item] of items.entries()) {
    if (from + index < length) slots.items[from + index] = item;
  }
  slots.total = total;
  slots.loaded = slots.items.reduce((sum, item) => sum + (item === undefined ? 0 : 1), 0);
}

/** Loads a list. If `key` changes, a new list begins. */
export function useCounted<T>(
  key: string,
  request: (range: Range, signal: AbortSignal) => Promise<CountedPage<T>>,
): Counted<T> {
  const { state, load } = useSteps(key, noSlots<T>, (slots, signal) => {
    const range = missingRange(slots);
    return range && request(range, signal).then((page) => takePage(slots, range, page));
  });
  const { items, loaded, total, error } = state;
  const isCounted = total !== undefined;
  const isFull = isCounted && total > MAX_ITEMS;
  const show = (first: number, end: number): void => {
    state.wanted = [first, end];
    load();
  };
  const all = (): void => {
    state.loadsAll = true;
    load();
  };
  return { items, loaded, isCounted, isFull, error, show, all, again: load };
}
