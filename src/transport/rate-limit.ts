/**
 * A token bucket for the rate of sending, which may change with the time of day. A message is sent whole as soon as
 * the bucket is not empty. If it takes more than the bucket has, later messages wait for the difference. So the
 * rate holds on average, and a message larger than the bucket needs no special case.
 */
import { rateAt, type RatePeriod } from '../config/index.js';
import type { Clock } from '../system/index.js';

/** Maximum amount that may be sent at once after a pause, in seconds of the rate. */
const BURST_SECONDS = 0.25;
const MIN_BURST_BYTES = 16 << 10;
/** Maximum time before the rate is looked up again. */
const MAX_WAIT_MS = 1000;

export class RateLimit {
  private tokens: number;
  private filledAtMs: number;

  constructor(
    private readonly clock: Clock,
    private readonly periods: readonly RatePeriod[],
  ) {
    this.filledAtMs = clock.monotonicMs();
    this.tokens = burstOf(this.rate() ?? 0);
  }

  /** Milliseconds to wait before sending, at most one second; then call again. 0 means that sending is allowed. */
  waitMs(): number {
    const rate = this.rate();
    this.fill(rate);
    if (rate === undefined || this.tokens > 0) return 0;
    return Math.min(MAX_WAIT_MS, Math.max(1, Math.ceil(((1 - this.tokens) / rate) * 1000)));
  }

  /** Takes bytes that were sent from the bucket. Bytes that are sent without a limit do not count. */
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
