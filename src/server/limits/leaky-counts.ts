/** Counts by key that decrease with time, as in a leaky bucket. The number of keys is bounded. */
import { BoundedCache, type Clock } from '../../system/index.js';

/** A limit on the count of a key: `burst` at once, then one more every `refillMs`. */
export interface Allowance {
  readonly burst: number;
  readonly refillMs: number;
}

/** Maximum number of keys that are remembered; beyond that, the least recently used one is forgotten. */
const MAX_REMEMBERED = 4096;

interface Count {
  readonly count: number;
  readonly asOfMs: number;
}

export class LeakyCounts {
  private readonly counts = new BoundedCache<string, Count>(MAX_REMEMBERED);

  constructor(
    private readonly clock: Clock,
    readonly allowance: Allowance,
  ) {}

  /** Returns the present count of a key. */
  left(key: string): number {
    const found = this.counts.peek(key);
    if (found === undefined) return 0;
    const elapsedMs = this.clock.monotonicMs() - found.asOfMs;
    return Math.max(0, found.count - elapsedMs / this.allowance.refillMs);
  }

  /** Returns the milliseconds until the key may be counted once more; 0 means now. */
  waitMs(key: string): number {
    const tooMany = this.left(key) + 1 - this.allowance.burst;
    return tooMany <= 0 ? 0 : tooMany * this.allowance.refillMs;
  }

  /** Adds to a key's count; a negative number subtracts. */
  add(key: string, more: number): void {
    const count = Math.max(0, this.left(key) + more);
    this.counts.set(key, { count, asOfMs: this.clock.monotonicMs() });
  }

  forget(key: string): void {
    this.counts.delete(key);
  }
}
