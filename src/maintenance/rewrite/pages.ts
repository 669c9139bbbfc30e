/**
 * Yields a long answer in pages of `limit`, each starting behind the last item of the page before. That place
 * is determined before a page is yielded: the caller opens entries in place, which changes their names.
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
