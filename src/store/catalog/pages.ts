/** Number of rows that one query of a long walk reads. */
export const PAGE_ROWS = 2048;

/**
 * Yields a long result in pages of `rows` items, each by a query of its own, so that other work can be done between
 * two pages. Each page begins after the last item of the page before it. That position is determined before a page is
 * yielded, since callers decrypt entries in place, which changes their names.
 */
export function* pages<T, K>(
  first: K,
  pageAfter: (after: K, limit: number) => T[],
  behind: (last: T) => K,
  rows = PAGE_ROWS,
): Generator<T[]> {
  for (let after = first; ; ) {
    const page = pageAfter(after, rows);
    const last = page.at(-1);
    if (last === undefined) return;
    after = behind(last);
    yield page;
    if (page.length < rows) return;
  }
}
