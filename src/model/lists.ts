/** Searches sorted lists, and collects lists by key. */

/**
 * Returns the first of `count` indexes that is `reached`; `count` if none is. All indexes after a reached one must be
 * reached too.
 */
export function firstIndex(count: number, isReached: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isReached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Returns the index of the last of `starts` that is not after a position; 0 if there is none. */
export function startBefore(starts: ArrayLike<number>, count: number, position: number): number {
  return Math.max(0, firstIndex(count, (index) => starts[index]! > position) - 1);
}

/** Returns the list of a key; adds an empty one if there is none. */
export function listAt<K, V>(lists: Map<K, V[]>, key: K): V[] {
  const known = lists.get(key);
  if (known !== undefined) return known;
  const fresh: V[] = [];
  lists.set(key, fresh);
  return fresh;
}
