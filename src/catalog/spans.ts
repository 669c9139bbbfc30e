/** Runs of set numbers, each from a first to a last one; lists of them are in order, and do not touch. */

export interface Span {
  readonly first: number;
  readonly last: number;
}

/** What is in both. */
export function intersection(ones: readonly Span[], others: readonly Span[]): Span[] {
  return ones.flatMap((one) =>
    others.flatMap((other) => {
      const [first, last] = [Math.max(one.first, other.first), Math.min(one.last, other.last)];
      return first <= last ? [{ first, last }] : [];
    }),
  );
}

/** What is in one of them. */
export function union(ones: readonly Span[], others: readonly Span[]): Span[] {
  const joined: Span[] = [];
  for (const span of [...ones, ...others].sort((one, other) => one.first - other.first)) {
    const before = joined.at(-1);
    if (before === undefined || span.first > before.last + 1) joined.push(span);
    else joined[joined.length - 1] = { ...before, last: Math.max(before.last, span.last) };
  }
  return joined;
}

/** What is in the first, and not in the second. */
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

export function covered(spans: readonly Span[], set: number): boolean {
  return spans.some(({ first, last }) => first <= set && set <= last);
}
