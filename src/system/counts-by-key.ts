/** Counts what is under way, such as requests: for each key, and in all. A key with nothing takes no memory. */
export class CountsByKey {
  private readonly counts = new Map<string, number>();
  private sum = 0;

  /** Number for all keys. */
  get all(): number {
    return this.sum;
  }

  of(key: string): number {
    return this.counts.get(key) ?? 0;
  }

  add(key: string, more: 1 | -1): void {
    const count = this.of(key) + more;
    if (count > 0) this.counts.set(key, count);
    else this.counts.delete(key);
    this.sum += more;
  }
}
