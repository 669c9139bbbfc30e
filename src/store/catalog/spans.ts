/** Intervals of set numbers. Lists of them are sorted, and the intervals do not overlap or touch. */
import type { SetNumber } from '../../model/index.js';

export interface Span {
  readonly first: SetNumber;
  readonly last: SetNumber;
}

/** Returns the sets that are in both lists. */
export function intersection(ones: readonly Span[], others: readonly Span[]): Span[] {
  return ones.flatMap((one) =>
    others.flatMap((other) => {
      const [first, last] = [Math.max(one.first, other.first), Math.min(one.last, other.last)];
      return first <= last ? [{ first, last }] : [];
    }),
  );
}

/** Returns the sets that are in at least one of the lists. */
export function union(ones: readonly Span[], others: readonly Span[]): Span[] {
  const joined: Span[] = [];
  for (const span of [...ones, ...others].sort((one, other) => one.first - other.first)) {
    const before = joined.at(-1);
    if (before === undefined || span.first > before.last + 1) joined.push(span);
    else joined[joined.length - 1] = { ...before, last: Math.max(before.last, span.last) };
  }
  return joined;
}

/** Returns the sets that are in the first list but not in the second. */
export function without(ones: readonly Span[], others: readonly Span[]): Span[] {
  let left = [...ones];
  for (const { first, last } of others) {
    left = left.flatMap((span) => [
      ...(span.first < first ? [{ first: span.first, last: Math.min(span.last, first - 1) }] : []),
      ...(span.last > last ? [{ first: Math.max(span.first, last + 1), last: span.last }] : []),
    ]);
  }
  return left;
}

export function covered(spans: readonly Span[], set: SetNumber): boolean {
  return spans.some(({ first, last }) => first <= set && set <= last);
}

/**
 * Returns the intervals of sets for which `has` is true. `listed` must be sorted. Numbers of sets that are not listed
 * belong to the neighbouring intervals. The last interval has no end if it includes the newest set.
 */
export function spansWith(listed: readonly number[], has: (set: SetNumber) => boolean): Span[] {
  const spans: Span[] = [];
  let first: SetNumber | undefined;
  let start: SetNumber = 1;
  for (const set of listed) {
    if (has(set)) first ??= start;
    else {
      if (first !== undefined) spans.push({ first, last: set - 1 });
      first = undefined;
      start = set + 1;
    }
  }
  return first === undefined ? spans : [...spans, { first, last: Infinity }];
}
