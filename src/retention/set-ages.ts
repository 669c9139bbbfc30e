/**
 * Computes two kinds of ages of sets although the server's clock may have been wrong: set back, ahead, or at 1970. Sets
 * are ordered by their numbers.
 *
 * The rules of retention use **monotonic ages**. Each complete set gets a counted time, which follows from that of the
 * set before it. Counted time advances by the time that has passed by the clock, unless the clock has jumped (or nothing
 * was backed up for very long). A **stretch** is a run of sets between two such breaks. For some days after a break it is
 * unknown whether the times before or after it are right: the clock is in doubt.
 *
 * `setsOlderThan` has the ages for LeastAge. One kind cannot replace the other. A clock that was ahead for a moment, by
 * less than a usual gap, makes a monotonic age too high for ever. An age for LeastAge is too low until the clock has reached
 * the latest time that it ever had, so after a clock that was years ahead no rule would let any set go.
 */
import { DAY_MS, HOUR_MS, type SetNumber } from '../model/index.js';

export interface MonotonicAge {
  /** Counted time at the beginning of the set. It starts as milliseconds since 1970, and never decreases. */
  readonly countedMs: number;
  /** Number of breaks before the set. */
  readonly stretch: number;
  /** Counted time since the beginning of its stretch. */
  readonly stretchMs: number;
  /**
   * Counted time since the complete set before it, even if that set has been deleted since; 0 for the first set and
   * after a break.
   */
  readonly gapMs: number;
}

const AGE_FIGURES = ['countedMs', 'clockStretch', 'stretchMs', 'clockGapMs'] as const;

/** Name of a statistic of a set that holds a field of its monotonic age. */
export type AgeFigure = (typeof AGE_FIGURES)[number];

/** True for the name of a statistic that only the rules for ages use. */
export function isAgeFigure(name: string): name is AgeFigure {
  return (AGE_FIGURES as readonly string[]).includes(name);
}

interface TimedSet {
  readonly set: SetNumber;
  /** Time by the server's clock, in milliseconds since 1970. */
  readonly openedAtMs: number;
}

export interface CountedSet extends TimedSet {
  /** Monotonic age of the set; undefined if the set is not complete, or if its statistics are damaged. */
  readonly age: MonotonicAge | undefined;
}

export interface EndedSet extends TimedSet {
  /** Undefined if the set has not ended. */
  readonly closedAtMs: number | undefined;
}

export interface Stretch<S extends CountedSet> {
  /** Sets in the order of their numbers; never empty. */
  readonly sets: readonly S[];
  /** True if the clock ran without a break for long enough in this stretch, or if there is no other stretch. */
  readonly isTrusted: boolean;
}

/** The counted time now. */
interface Now {
  readonly countedMs: number;
  /** True if the current time of the clock may be wrong. */
  readonly isInDoubt: boolean;
}

/** Maximum time by which the clock may be set back without a jump: a small correction, or the end of summer time. */
const BACK_MS = HOUR_MS;
/** Bounds for the longest gap that is not a jump. Between them, the longest gap is USUAL_GAPS times the usual gap. */
const LEAST_GAP_MS = 14 * DAY_MS;
const MOST_GAP_MS = 100 * DAY_MS;
const USUAL_GAPS = 5;
/** Number of newest sets that determine the usual gap. */
const RECENT_SETS = 16;
/** Milliseconds after a break until the new times are trusted. */
const SETTLED_MS = 14 * DAY_MS;
/** Earliest plausible time. No server ran earlier, so an earlier time comes from a clock that had not been set. */
const FIRST_SENSIBLE_MS = Date.UTC(2000, 0, 1);

/**
 * Returns the monotonic age of a set that follows the complete sets `before`. These are in the order of their numbers.
 */
export function monotonicAgeOf(before: readonly CountedSet[], openedAtMs: number): MonotonicAge {
  return ageAfter(withAges(before), openedAtMs);
}

/** Returns the current counted time after these complete sets; there must be at least one. */
export function nowAfter(complete: readonly CountedSet[], nowMs: number): Now {
  const { countedMs, stretch, stretchMs } = agesOf(complete).at(-1)!;
  const passedMs = timePassed(withAges(complete), nowMs);
  if (passedMs === undefined) return { countedMs, isInDoubt: true };
  const isSettled = stretch === 0 || stretchMs + passedMs >= SETTLED_MS;
  return { countedMs: countedMs + passedMs, isInDoubt: !isSettled };
}

/** Splits complete sets, which are in the order of their numbers, into stretches. */
export function stretchesOf<S extends CountedSet>(complete: readonly S[]): Stretch<S>[] {
  const ages = agesOf(complete);
  const runs = new Map<number, { sets: S[]; longMs: number }>();
  complete.forEach((set, index) => {
    const { stretch, stretchMs } = ages[index]!;
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

/**
 * Returns the counted time at the beginning of each set, with or without a monotonic age; sets are in the order of
 * their numbers.
 */
export function countedTimes(sets: readonly CountedSet[]): number[] {
  return agesOf(sets).map(({ countedMs }) => countedMs);
}

/**
 * Returns the numbers of the sets that are at least `leastAgeMs` old. A set is at least as old as any later set, so its
 * age counts from the latest time recorded of it or of an earlier set. A clock that was ahead can only keep sets longer,
 * and one that was set back makes no set older than those around it. A set has no age if all times up to it come from
 * clocks that were not set. The sets must be in the order of their numbers.
 */
export function setsOlderThan(
  leastAgeMs: number,
  ordered: readonly EndedSet[],
  nowMs: number,
): Set<SetNumber> {
  const old = new Set<SetNumber>();
  let latestMs: number | undefined;
  for (const { set, openedAtMs, closedAtMs } of ordered) {
    for (const moment of [openedAtMs, closedAtMs]) {
      if (moment === undefined || !(moment >= FIRST_SENSIBLE_MS)) continue;
      latestMs = Math.max(latestMs ?? moment, moment);
    }
    if (latestMs !== undefined && nowMs - latestMs >= leastAgeMs) old.add(set);
  }
  return old;
}

/** A set with a monotonic age: its own, or one computed now. */
interface AgedSet {
  readonly openedAtMs: number;
  readonly age: MonotonicAge;
}

function ageAfter(before: readonly AgedSet[], openedAtMs: number): MonotonicAge {
  const newest = before.at(-1);
  if (newest === undefined) return { countedMs: openedAtMs, stretch: 0, stretchMs: 0, gapMs: 0 };
  const { countedMs, stretch, stretchMs } = newest.age;
  const passedMs = timePassed(before, openedAtMs);
  if (passedMs === undefined) return { countedMs, stretch: stretch + 1, stretchMs: 0, gapMs: 0 };
  return {
    countedMs: countedMs + passedMs,
    stretch,
    stretchMs: stretchMs + passedMs,
    gapMs: passedMs,
  };
}

/**
 * Returns the time passed since the last set. Returns undefined if the clock has jumped, or may have jumped because
 * the gap is very long.
 */
function timePassed(before: readonly AgedSet[], nowMs: number): number | undefined {
  const gapMs = nowMs - before.at(-1)!.openedAtMs;
  if (gapMs < -BACK_MS || gapMs > longestGap(before)) return undefined;
  return Math.max(0, gapMs);
}

/**
 * Returns the longest gap that does not count as a jump: a multiple of the usual gap between backups. The gap stored
 * with each set is used, because sets between the remaining ones may have been deleted.
 */
function longestGap(sets: readonly AgedSet[]): number {
  const gaps = sets.slice(-RECENT_SETS).map(({ age }) => age.gapMs);
  gaps.sort((one, other) => one - other);
  const usualMs = gaps[Math.floor(gaps.length / 2)] ?? 0;
  return Math.min(MOST_GAP_MS, Math.max(LEAST_GAP_MS, USUAL_GAPS * usualMs));
}

/** Computes the monotonic ages of sets without one. */
function withAges(sets: readonly CountedSet[]): AgedSet[] {
  const placed: AgedSet[] = [];
  for (const { openedAtMs, age } of sets) {
    placed.push({ openedAtMs, age: age ?? ageAfter(placed, openedAtMs) });
  }
  // No set may have a later counted time than a set that follows it.
  let nextMs = Infinity;
  return placed
    .toReversed()
    .map(({ openedAtMs, age }) => {
      nextMs = Math.min(nextMs, age.countedMs);
      return { openedAtMs, age: { ...age, countedMs: nextMs } };
    })
    .toReversed();
}

function agesOf(sets: readonly CountedSet[]): MonotonicAge[] {
  return withAges(sets).map(({ age }) => age);
}
