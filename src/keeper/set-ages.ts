/**
 * How old sets surely are. Age is by the server's clock, which may have been wrong. Sets are in the order of their
 * numbers; so a set is at least as old as any later one, and it is taken to be as young as the youngest moment that
 * it, or a set before it, was seen at. A clock that ran ahead can only keep sets longer, one that was put back (or
 * began in 1970) makes none older than the sets around it say.
 */

export interface TimedSet {
  readonly set: number;
  /** By the server's clock, in milliseconds since 1970. */
  readonly openedAtMs: number;
  /** Undefined: it has not ended. */
  readonly closedAtMs: number | undefined;
}

/** Before this no server ran: a clock that says less had not been set. */
const FIRST_SENSIBLE_MS = Date.UTC(2000, 0, 1);

/**
 * By number of a set the latest time that was told of it or of one before; none while no clock that was set has
 * told any. Sets are given in the order of their numbers.
 */
export function seenMoments(ordered: readonly TimedSet[]): Map<number, number> {
  const seen = new Map<number, number>();
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

/** A set that no clock told of is of no age. */
export function isOldEnough(
  seenMs: number | undefined,
  nowMs: number,
  leastAgeMs: number,
): boolean {
  return seenMs !== undefined && nowMs - seenMs >= leastAgeMs;
}
