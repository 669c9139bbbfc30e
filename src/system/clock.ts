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

/** Resolves when the monotonic clock has reached a time. */
export async function notBefore(clock: Clock, timeMs: number): Promise<void> {
  const waitMs = timeMs - clock.monotonicMs();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(waitMs)));
}

/**
 * Returns the result of some work; that of `late` if the work takes longer than `patienceMs`. A later failure of the work
 * is ignored.
 */
export async function within<T>(work: Promise<T>, patienceMs: number, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const isLate = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  try {
    return await Promise.race([work, isLate.then(late)]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after some milliseconds of real time. This does not keep the process running. */
export function looseDelay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
