/**
 * Yields a long result in pages of `limit` items. Each page begins after the last item of the page before it. That
 * position is determined before a page is yielded, since the caller decrypts entries in place, which changes their
 * names.
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
