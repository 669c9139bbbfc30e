/** A map of limited weight, which may be the number of its values or that of their bytes. */
interface Item<V> {
  readonly value: V;
  readonly weight: number;
}

/**
 * If the values weigh too much together, some are evicted: first those that are spent, then those that were set or used
 * longest ago. The value that was set last stays, whatever its weight. Values without weight stay too, such as promises
 * of values that are still being made.
 */
export class BoundedCache<K, V> {
  private readonly items = new Map<K, Item<V>>();
  private readonly spent = new Set<K>();
  private weight = 0;

  /** `onEvicted` is called with each value that is evicted, but not with those that are deleted or replaced. */
  constructor(
    private readonly most: number,
    private readonly onEvicted: (value: V, key: K) => void = () => undefined,
  ) {}

  has(key: K): boolean {
    return this.items.has(key);
  }

  /** Returns a value and counts that as a use. */
  get(key: K): V | undefined {
    const item = this.items.get(key);
    if (item === undefined) return undefined;
    this.items.delete(key);
    this.items.set(key, item);
    return item.value;
  }

  /** Returns a value without counting that as a use. */
  peek(key: K): V | undefined {
    return this.items.get(key)?.value;
  }

  /** Sets or replaces a value. */
  set(key: K, value: V, weight = 1): void {
    this.delete(key);
    this.items.set(key, { value, weight });
    this.weight += weight;
    for (const oldest of this.oldestFirst()) {
      if (this.weight <= this.most) return;
      const item = this.items.get(oldest);
      if (item === undefined || item.weight === 0 || oldest === key) continue;
      this.delete(oldest);
      this.onEvicted(item.value, oldest);
    }
  }

  delete(key: K): boolean {
    this.weight -= this.items.get(key)?.weight ?? 0;
    this.spent.delete(key);
    return this.items.delete(key);
  }

  /** Deletes the values whose keys `isOut` selects. */
  deleteWhere(isOut: (key: K) => boolean): void {
    for (const key of this.items.keys()) if (isOut(key)) this.delete(key);
  }

  /** Marks a value that is probably not needed again. It is evicted before others. */
  noteSpent(key: K): void {
    if (this.items.has(key)) this.spent.add(key);
  }

  /** Returns the keys, those used longest ago first. */
  keys(): IterableIterator<K> {
    return this.items.keys();
  }

  values(): V[] {
    return [...this.items.values()].map(({ value }) => value);
  }

  /** Removes and returns all values. */
  clear(): V[] {
    const values = this.values();
    this.items.clear();
    this.spent.clear();
    this.weight = 0;
    return values;
  }

  private *oldestFirst(): Generator<K> {
    yield* this.spent;
    yield* this.items.keys();
  }
}

/**
 * Keeps a value that is being loaded. Until it is there, the cache has its promise, which has no weight. A value that
 * cannot be loaded is not kept.
 */
export function keepLoading<K, V>(
  cache: BoundedCache<K, V | Promise<V>>,
  key: K,
  loading: Promise<V>,
  weightOf: (value: V) => number = () => 1,
): Promise<V> {
  const settled = loading.then(
    (value) => {
      if (cache.peek(key) === settled) cache.set(key, value, weightOf(value));
      return value;
    },
    (error: unknown) => {
      if (cache.peek(key) === settled) cache.delete(key);
      throw error;
    },
  );
  cache.set(key, settled, 0);
  return settled;
}
