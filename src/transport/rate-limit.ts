/**
 * A token bucket: what is sent may not pass a rate, which may change with the time of day. A message
 * goes whole as soon as the bucket is not empty, and what it takes too much is waited for afterwards;
 * so the rate holds on average, and a message larger than the bucket is no special case.
 */
import { rateAt, type RatePeriod } from '../config/index.js';
import type { Clock } from '../system/index.js';

/** What may be sent at once after a pause: this part of a second's worth. */
const BURST_SECONDS = 0.25;
const MIN_BURST_BYTES = 16 << 10;
/** The rate is looked up again at least this often. */
const MAX_WAIT_MS = 1000;

export class RateLimit {
  private tokens: number;
  private filledAtMs: number;
  private readonly clock: Clock;
  private readonly periods: readonly RatePeriod[];

  constructor(clock: Clock, periods: readonly RatePeriod[]) {
    this.clock = clock;
    this.periods = periods;
    this.filledAtMs = clock.monotonicMs();
    this.tokens = burstOf(this.rate() ?? 0);
  }

  /** How long to wait before something may be sent, at most a second; then ask again. 0: go. */
  waitMs(): number {
    const rate = this.rate();
    this.fill(rate);
    if (rate === undefined || this.tokens > 0) return 0;
    return Math.min(MAX_WAIT_MS, Math.max(1, Math.ceil(((1 - this.tokens) / rate) * 1000)));
  }

  /** Bytes were sent. What is sent while there is no limit is not waited for later. */
  spend(bytes: number): void {
    if (this.rate() !== undefined) this.tokens -= bytes;
  }

  private fill(rate: number | undefined): void {
    const nowMs = this.clock.monotonicMs();
    const elapsedMs = nowMs - this.filledAtMs;
    this.filledAtMs = nowMs;
    if (rate === undefined) this.tokens = 0;
    else this.tokens = Math.min(burstOf(rate), this.tokens + (rate * elapsedMs) / 1000);
  }

  private rate(): number | undefined {
    const now = new Date(this.clock.nowMs());
    return rateAt(this.periods, now.getHours() * 60 + now.getMinutes());
  }
}

function burstOf(rate: number): number {
  return Math.max(MIN_BURST_BYTES, rate * BURST_SECONDS);
}
