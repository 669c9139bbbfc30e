import type { System } from './system.js';

/** Limits of the attempts of one action. */
export interface RetryLimits {
  /** Longest first delay. Each further one may be twice as long. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** Time from the start after which there is no further attempt. */
  readonly forMs: number;
  readonly maxTries?: number;
}

/** Chooses the delays between attempts of one action, in a bounded time. */
export class Retries {
  private failures = 0;
  private readonly startMs: number;
  private failedMs: number;

  /** Starts the time of `limits`. */
  constructor(
    private readonly system: Pick<System, 'clock' | 'random'>,
    private readonly limits: RetryLimits,
  ) {
    this.startMs = system.clock.monotonicMs();
    this.failedMs = this.startMs;
  }

  /** Time from the start to the failure before the last delay. */
  get spentMs(): number {
    return this.failedMs - this.startMs;
  }

  get leftMs(): number {
    return this.limits.forMs - this.spentMs;
  }

  /**
   * Returns the delay before the next attempt: `leastMs` at least, and otherwise at most `longestMs`. Returns undefined
   * if no further attempt is allowed.
   */
  next({ leastMs = 0, longestMs = this.limits.longestMs } = {}): number | undefined {
    const { firstMs, maxTries = Infinity } = this.limits;
    this.failedMs = this.system.clock.monotonicMs();
    const { leftMs } = this;
    if (leftMs <= 0 || leastMs > leftMs || this.failures + 1 >= maxTries) return undefined;
    const longest = Math.min(firstMs * 2 ** this.failures, longestMs, leftMs);
    this.failures += 1;
    // The delay is random, so that machines that lost the same server do not all return at once.
    const share = this.system.random.bytes(2).readUInt16LE() / 0xffff;
    return Math.max(leastMs, Math.round(longest * (0.5 + share / 2)));
  }
}
