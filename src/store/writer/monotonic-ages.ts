/** Monotonic ages of sets, which are stored among their statistics (src/retention/set-ages.ts). */
import type { BackupSet } from '../catalog/index.js';
import {
  type AgeFigure,
  type CountedSet,
  type MonotonicAge,
  nowAfter,
  monotonicAgeOf,
} from '../../retention/index.js';

/** True if the clock does not plausibly follow the newest complete set, or jumped a short time ago. */
export function isClockInDoubt(listed: readonly BackupSet[], nowMs: number): boolean {
  const complete = listed.filter(({ state }) => state === 'complete');
  if (complete.length === 0) return false;
  return nowAfter(complete.map(timed), nowMs).isInDoubt;
}

function timed(set: BackupSet): CountedSet {
  return { set: set.set, openedAtMs: set.openedAtMs, age: ageIn(set) };
}

/** Returns the monotonic age among the statistics of a complete set; undefined if it has none. */
export function ageIn({ state, stats }: BackupSet): MonotonicAge | undefined {
  const { countedMs, clockStretch: stretch, stretchMs, clockGapMs: gapMs } = stats;
  if (state !== 'complete' || countedMs === undefined) return undefined;
  return { countedMs, stretch: stretch ?? 0, stretchMs: stretchMs ?? 0, gapMs: gapMs ?? 0 };
}

/**
 * Returns the statistics that contain the monotonic age of a set that begins now, after the `listed` ones. They are stored
 * when the set ends.
 */
export function ageFigures(
  listed: readonly BackupSet[],
  openedAtMs: number,
): Partial<Record<AgeFigure, number>> {
  const before = listed.filter(({ state }) => state === 'complete').map(timed);
  const { countedMs, stretch, stretchMs, gapMs } = monotonicAgeOf(before, openedAtMs);
  return { countedMs, clockStretch: stretch, stretchMs, clockGapMs: gapMs };
}
