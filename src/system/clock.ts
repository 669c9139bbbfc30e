/** Time, injected so that a test can stop it or make it jump. */
export interface Clock {
  /** Wall clock, milliseconds since 1970; may jump. Never used for order. */
  nowMs(): number;
  /** Monotonic, milliseconds from an arbitrary point; for durations and time-outs. */
  monotonicMs(): number;
}

/** What a date can say, either way from 1970. */
const MAX_WALL_MS = 8_640_000_000_000_000;

/** The wall clock in whole milliseconds, as a set may keep it; 0 for a clock that tells no time at all. */
export function wallMs(clock: Clock): number {
  const nowMs = Math.floor(clock.nowMs());
  return Math.abs(nowMs) <= MAX_WALL_MS ? nowMs : 0;
}

export const systemClock: Clock = Object.freeze({
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
});

/** A clock that moves only when told. */
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
  /** The wall clock jumps; monotonic time does not. */
  jumpTo(wallMs: number): void {
    this.wallMs = wallMs;
  }
}
