/**
 * The times of sets as far as they can be believed. Sets are ordered by their numbers; what the server's clock said of
 * each may be wrong: it was set back, ran ahead, stood at 1970. So each complete set gets a stamp, made from that of the
 * one before it: counted time goes on by what the clock says has passed, but not where the clock has jumped (or nobody
 * backed up for very long). Nothing is ever taken to be older than it is. A **stretch** is a run of sets between
 * two such breaks. Within some days after a break nobody can say which side of it is right: the clock is in doubt.
 */

export interface ClockStamp {
  /** Counted time of the set's beginning; it starts as milliseconds since 1970, and never goes back. */
  readonly countedMs: number;
  /** Breaks before it. */
  readonly stretch: number;
  /** Counted time since its stretch began. */
  readonly stretchMs: number;
}

export interface TimedSet {
  readonly set: number;
  /** By the server's clock, in milliseconds since 1970. */
  readonly openedAtMs: number;
  /** Undefined: it was made by a release that made none, or is not complete. */
  readonly stamp: ClockStamp | undefined;
}

export interface Stretch<S extends TimedSet> {
  /** In the order of their numbers; never empty. */
  readonly sets: readonly S[];
  /** Its times are those of a clock that nobody has set right for long; or there is no other stretch. */
  readonly isTrusted: boolean;
}

/** The clock of now, and what follows from it. */
export interface Now {
  readonly countedMs: number;
  /** The times around now may be wrong. */
  readonly isInDoubt: boolean;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A clock that is set right by this much, or a summer time that somebody has in his clock, is no jump. */
const BACK_MS = HOUR_MS;
/** A gap is longer than this, and than some usual ones, or it is none. */
const LEAST_GAP_MS = 14 * DAY_MS;
const MOST_GAP_MS = 100 * DAY_MS;
const USUAL_GAPS = 5;
/** What is usual, the last sets say. */
const RECENT_SETS = 16;
/** So long after a break the new times are believed. */
const SETTLED_MS = 14 * DAY_MS;

/** The stamp of a set that follows these complete sets, which are in the order of their numbers. */
export function stampOf(before: readonly TimedSet[], openedAtMs: number): ClockStamp {
  return stampAfter(stamped(before), openedAtMs);
}

/** What follows these complete sets now; there is one at least. */
export function nowAfter(complete: readonly TimedSet[], nowMs: number): Now {
  const { countedMs, stretch, stretchMs } = stampsOf(complete).at(-1)!;
  const passedMs = timePassed(stamped(complete), nowMs);
  if (passedMs === undefined) return { countedMs, isInDoubt: true };
  const isSettled = stretch === 0 || stretchMs + passedMs >= SETTLED_MS;
  return { countedMs: countedMs + passedMs, isInDoubt: !isSettled };
}

/** Complete sets, in the order of their numbers, in their stretches. */
export function stretchesOf<S extends TimedSet>(complete: readonly S[]): Stretch<S>[] {
  const stamps = stampsOf(complete);
  const runs = new Map<number, { sets: S[]; longMs: number }>();
  complete.forEach((set, index) => {
    const { stretch, stretchMs } = stamps[index]!;
    const run = runs.get(stretch);
    if (run === undefined) runs.set(stretch, { sets: [set], longMs: stretchMs });
    else {
      run.sets.push(set);
      run.longMs = Math.max(run.longMs, stretchMs);
    }
  });
  return [...runs.values()].map(({ sets, longMs }) => ({
    sets,
    isTrusted: runs.size === 1 || longMs >= SETTLED_MS,
  }));
}

/** Counted time of the beginning of each set, whether it has a stamp or not; sets in the order of their numbers. */
export function countedTimes(sets: readonly TimedSet[]): number[] {
  return stampsOf(sets).map(({ countedMs }) => countedMs);
}

/** A set with a stamp, its own or one that is made now. */
interface Stamped {
  readonly openedAtMs: number;
  readonly stamp: ClockStamp;
}

function stampAfter(before: readonly Stamped[], openedAtMs: number): ClockStamp {
  const newest = before.at(-1);
  if (newest === undefined) return { countedMs: openedAtMs, stretch: 0, stretchMs: 0 };
  const { countedMs, stretch, stretchMs } = newest.stamp;
  const passedMs = timePassed(before, openedAtMs);
  if (passedMs === undefined) return { countedMs, stretch: stretch + 1, stretchMs: 0 };
  return { countedMs: countedMs + passedMs, stretch, stretchMs: stretchMs + passedMs };
}

/** Undefined: the clock has jumped, or so much time went by that it looks as if. */
function timePassed(before: readonly Stamped[], nowMs: number): number | undefined {
  const gapMs = nowMs - before.at(-1)!.openedAtMs;
  if (gapMs < -BACK_MS || gapMs > longestGap(before)) return undefined;
  return Math.max(0, gapMs);
}

/** The longest gap that is not taken for a jump: some times what is usual here. */
function longestGap(sets: readonly Stamped[]): number {
  const times = sets.slice(-RECENT_SETS).map(({ stamp }) => stamp.countedMs);
  const gaps = times.slice(1).map((at, index) => at - times[index]!);
  gaps.sort((one, other) => one - other);
  const usualMs = gaps[Math.floor(gaps.length / 2)] ?? 0;
  return Math.min(MOST_GAP_MS, Math.max(LEAST_GAP_MS, USUAL_GAPS * usualMs));
}

/** Sets of releases that made no stamps get those they would have got now. */
function stamped(sets: readonly TimedSet[]): Stamped[] {
  const placed: Stamped[] = [];
  for (const { openedAtMs, stamp } of sets) {
    placed.push({ openedAtMs, stamp: stamp ?? stampAfter(placed, openedAtMs) });
  }
  // None is behind a set that follows it.
  let nextMs = Infinity;
  return placed
    .toReversed()
    .map(({ openedAtMs, stamp }) => {
      nextMs = Math.min(nextMs, stamp.countedMs);
      return { openedAtMs, stamp: { ...stamp, countedMs: nextMs } };
    })
    .toReversed();
}

function stampsOf(sets: readonly TimedSet[]): ClockStamp[] {
  return stamped(sets).map(({ stamp }) => stamp);
}
