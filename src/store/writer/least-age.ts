/**
 * Ages of sets that no wrong clock can increase. Ages are measured by the server's clock, which may have been wrong. A
 * set is at least as old as any later set. So its age counts from the latest time recorded of it or of an earlier set.
 * A clock that was ahead can only keep sets longer. A clock that was set back (or began in 1970) makes no set older
 * than the sets around it.
 */
import type { SetNumber } from '../../model/index.js';

export interface TimedSet {
  readonly set: SetNumber;
  /** Milliseconds since 1970, by the server's clock. */
  readonly openedAtMs: number;
  /** Undefined if the set has not ended. */
  readonly closedAtMs: number | undefined;
}

/** Earliest plausible time. No server ran earlier, so an earlier time comes from a clock that had not been set. */
const FIRST_SENSIBLE_MS = Date.UTC(2000, 0, 1);

/**
 * Returns for each set number the latest time recorded of that set or of an earlier one. A set has no such time if all
 * times up to it come from clocks that were not set. The sets must be in the order of their numbers.
 */
export function seenMoments(ordered: readonly TimedSet[]): Map<SetNumber, number> {
  const seen = new Map<SetNumber, number>();
  let latest: number | undefined;
  for (const { set, openedAtMs, closedAtMs } of ordered) {
    for (const moment of [openedAtMs, closedAtMs]) {
      if (moment === undefined || !(moment >= FIRST_SENSIBLE_MS)) continue;
      latest = Math.max(latest ?? moment, moment);
    }
    if (latest !== undefined) seen.set(set, latest);
  }
  return seen;
}

/** True if a set is at least `leastAgeMs` old. A set without a recorded time has no age, and the result is false. */
export function isOldEnough(
  seenMs: number | undefined,
  nowMs: number,
  leastAgeMs: number,
): boolean {
  return seenMs !== undefined && nowMs - seenMs >= leastAgeMs;
}
