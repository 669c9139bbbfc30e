interface Waiter {
  readonly amount: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * A bounded allowance, granted first come, first served. `take` waits while too much is granted; a request larger
 * than the whole allowance waits until nothing is granted. After `fail`, all pending and later requests are
 * rejected, so that no caller waits for a dead peer.
 */
export class Credit {
  private out = 0;
  private peak = 0;
  private readonly waiters: Waiter[] = [];
  private failure: Error | undefined;
  private limitAmount: number;

  constructor(limit: number) {
    this.limitAmount = limit;
  }

  get limit(): number {
    return this.limitAmount;
  }

  /** Raises the limit, and grants pending requests that now fit. */
  grow(amount: number): void {
    this.limitAmount += amount;
    this.give(0);
  }

  /** Amount that is granted at present. */
  get used(): number {
    return this.out;
  }

  /** Largest amount that was ever granted at one time. */
  get usedPeak(): number {
    return this.peak;
  }

  /**
   * Requests an amount. Returns undefined if it fits and is granted at once, otherwise a promise that resolves when it
   * is granted. Requests are granted in order. After `fail`, the promise rejects.
   */
  take(amount: number): Promise<void> | undefined {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.waiters.length === 0 && this.fits(amount)) {
      this.grant(amount);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.waiters.push({ amount, resolve, reject });
    });
  }

  /** Runs `work` while one of the allowance is taken for it. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.take(1);
    try {
      return await work();
    } finally {
      this.give(1);
    }
  }

  give(amount: number): void {
    this.out -= amount;
    for (;;) {
      const waiter = this.waiters[0];
      if (waiter === undefined || !this.fits(waiter.amount)) return;
      this.waiters.shift();
      this.grant(waiter.amount);
      waiter.resolve();
    }
  }

  fail(error: Error): void {
    this.failure ??= error;
    for (const waiter of this.waiters.splice(0)) waiter.reject(this.failure);
  }

  private fits(amount: number): boolean {
    return this.out === 0 || this.out + amount <= this.limit;
  }

  private grant(amount: number): void {
    this.out += amount;
    this.peak = Math.max(this.peak, this.out);
  }
}

/**
 * Calls `work` for each item, with at most `most` calls at once. After a failure, of `items` too, it makes no further
 * call, and throws the error when the running calls have ended.
 */
export async function atOnce<T>(
  items: AsyncIterable<T> | Iterable<T>,
  most: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const turns = new Credit(most);
  const failures: unknown[] = [];
  try {
    for await (const item of items) {
      await turns.take(1);
      if (failures.length > 0) {
        turns.give(1);
        break;
      }
      void work(item)
        .catch((error: unknown) => failures.push(error))
        .finally(() => turns.give(1));
    }
  } catch (error) {
    failures.push(error);
  }
  await turns.take(most);
  if (failures.length > 0) throw failures[0];
}
