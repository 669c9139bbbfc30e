/**
 * A long answer in pages of `limit`, each begun behind the last of the page before. Where that is, is asked
 * before a page is handed out: entries are opened where they are, which changes their names.
 */
export function* pages<T, K>(
  first: K,
  limit: number,
  ask: (after: K) => T[],
  behind: (last: T) => K,
): Generator<T[]> {
  for (let after = first; ; ) {
    const page = ask(after);
    const last = page.at(-1);
    if (last === undefined) return;
    after = behind(last);
    yield page;
    if (page.length < limit) return;
  }
}
