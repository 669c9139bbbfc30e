/** Monotonic ages of sets, which are stored among their statistics (src/retention/set-ages.ts). */
import type { SetNumber } from '../../model/index.js';
import type { BackupSet, Catalog } from '../catalog/index.js';
import {
  type AgeFigure,
  type MonotonicAge,
  nowAfter,
  monotonicAgeOf,
  type TimedSet,
} from '../../retention/index.js';

/** True if the clock does not plausibly follow the newest complete set, or jumped a short time ago. */
export function isClockInDoubt(listed: readonly BackupSet[], nowMs: number): boolean {
  const complete = listed.filter(({ state }) => state === 'complete');
  if (complete.length === 0) return false;
  return nowAfter(complete.map(timed), nowMs).isInDoubt;
}

function timed(set: BackupSet): TimedSet {
  return { set: set.set, openedAtMs: set.openedAtMs, age: ageIn(set) };
}

/** Returns the monotonic age among the statistics of a complete set; undefined if it has none. */
export function ageIn({ state, stats }: BackupSet): MonotonicAge | undefined {
  const { countedMs, clockStretch: stretch, stretchMs, clockGapMs: gapMs } = stats;
  if (state !== 'complete' || countedMs === undefined) return undefined;
  return { countedMs, stretch: stretch ?? 0, stretchMs: stretchMs ?? 0, gapMs: gapMs ?? 0 };
}

/**
 * Returns the statistics that contain a set's monotonic age, counted up to the set's beginning. They are stored when
 * the set ends.
 */
export function ageFigures(catalog: Catalog, set: SetNumber): Partial<Record<AgeFigure, number>> {
  const openedAtMs = catalog.sets.find(set)?.openedAtMs;
  if (openedAtMs === undefined) return {};
  const before = catalog.sets
    .listed()
    .filter((one) => one.state === 'complete' && one.set < set)
    .map(timed);
  const { countedMs, stretch, stretchMs, gapMs } = monotonicAgeOf(before, openedAtMs);
  return { countedMs, clockStretch: stretch, stretchMs, clockGapMs: gapMs };
}
