import type { Clock } from '../../src/system/index.js';

/** A clock that moves only when a test moves it. */
export class ManualClock implements Clock {
  private wallMs: number;
  private elapsedMs = 0;

  constructor(startMs: number) {
    this.wallMs = startMs;
  }
  nowMs(): number {
    return this.wallMs;
  }
  monotonicMs(): number {
    return this.elapsedMs;
  }
  advance(byMs: number): void {
    this.wallMs += byMs;
    this.elapsedMs += byMs;
  }
  /** Sets the wall clock and leaves monotonic time unchanged. */
  jumpTo(wallMs: number): void {
    this.wallMs = wallMs;
  }
}
