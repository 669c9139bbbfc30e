/** The source of time, injected so that a test can stop it or make it jump. */
export interface Clock {
  /** Wall clock in milliseconds since 1970. It may jump, so it is never used for order. */
  nowMs(): number;
  /** Monotonic time in milliseconds from an arbitrary start, for durations and time-outs. */
  monotonicMs(): number;
}

/** Maximum distance of a `Date` from 1970, before or after, in milliseconds. */
const MAX_WALL_MS = 8_640_000_000_000_000;

/** Returns the wall clock in whole milliseconds, as sets record it; 0 if it is outside the range of a `Date`. */
export function wallMs(clock: Clock): number {
  const nowMs = Math.floor(clock.nowMs());
  return Math.abs(nowMs) <= MAX_WALL_MS ? nowMs : 0;
}

export const systemClock: Clock = Object.freeze({
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
});

/** Resolves after some milliseconds of real time. This does not keep the process running. */
export function looseDelay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
