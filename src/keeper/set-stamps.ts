/** What the clock has counted up to sets, as it stands among their figures (src/retention/time-line.ts). */
import type { BackupSet, Catalog } from '../catalog/index.js';
import { type ClockStamp, nowAfter, stampOf, type TimedSet } from '../retention/index.js';

/** Whether the clock of now follows the newest complete set, and lately nothing was wrong with it. */
export function isClockInDoubt(listed: readonly BackupSet[], nowMs: number): boolean {
  const complete = listed.filter(({ state }) => state === 'complete');
  if (complete.length === 0) return false;
  return nowAfter(complete.map(timed), nowMs).isInDoubt;
}

function timed(set: BackupSet): TimedSet {
  return { set: set.set, openedAtMs: set.openedAtMs, stamp: stampIn(set) };
}

/** The stamp stands among the figures of a set that is complete. */
export function stampIn({ state, stats }: BackupSet): ClockStamp | undefined {
  const { countedMs, clockStretch: stretch, stretchMs } = stats;
  if (state !== 'complete' || countedMs === undefined) return undefined;
  return { countedMs, stretch: stretch ?? 0, stretchMs: stretchMs ?? 0 };
}

/** What the figures of a stamp are called among those of a set. */
export const STAMP_FIGURES: ReadonlySet<string> = new Set([
  'countedMs',
  'clockStretch',
  'stretchMs',
]);

/** Figures that a set gets at its end: what the clock has counted up to its beginning. */
export function stampFigures(catalog: Catalog, set: number): Record<string, number> {
  const openedAtMs = catalog.sets.find(set)?.openedAtMs;
  if (openedAtMs === undefined) return {};
  const before = catalog.sets
    .listed()
    .filter((one) => one.state === 'complete' && one.set < set)
    .map(timed);
  const { countedMs, stretch, stretchMs } = stampOf(before, openedAtMs);
  return { countedMs, clockStretch: stretch, stretchMs };
}
