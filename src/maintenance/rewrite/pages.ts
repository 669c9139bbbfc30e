/**
 * Yields a long result in pages of `limit` items, each beginning behind the last item of the page before. That
 * position is determined before a page is yielded, since the caller opens entries in place, which changes their names.
 */
export function* pages<T, K>(
  first: K,
  limit: number,
  pageAfter: (after: K) => T[],
  behind: (last: T) => K,
): Generator<T[]> {
  for (let after = first; ; ) {
    const page = pageAfter(after);
    const last = page.at(-1);
    if (last === undefined) return;
    after = behind(last);
    yield page;
    if (page.length < limit) return;
  }
}
