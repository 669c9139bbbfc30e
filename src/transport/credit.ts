/**
 * A bounded allowance, given out first come, first served. Taking waits while too much is out;
 * a request larger than the whole allowance waits until nothing is out. After `fail`, all waiters
 * and later takers are rejected: nobody waits on a dead peer.
 */
interface Waiter {
  readonly amount: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

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

  /** Gives out so much more from now on. */
  grow(amount: number): void {
    this.limitAmount += amount;
    this.give(0);
  }

  /** How much is out now. */
  get used(): number {
    return this.out;
  }

  /** The most that was ever out. */
  get usedPeak(): number {
    return this.peak;
  }

  /** Takes at once if possible, else returns a promise. Order of calls is kept. */
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
