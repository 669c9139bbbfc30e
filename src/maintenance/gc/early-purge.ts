/**
 * Decides which sets are deleted early when space runs low. These are expendable sets of the client whose session needs
 * the space, oldest first. Three kinds of sets stay: the newest complete set; if that set may lack entries, also the
 * newest complete set that does not; and sets younger than a minimum age. The decision is a pure function of the
 * catalog. The caller decides again after each deletion, since only then is the freed space certain.
 */
import type { SetNumber } from '../../model/index.js';
import { type EndedSet, setsOlderThan } from '../../retention/index.js';

export interface EarlySet extends EndedSet {
  readonly state: 'unfinished' | 'complete';
  /** True if a rebuild has found that the set may lack entries. */
  readonly isDoubtful: boolean;
  readonly isExpendable: boolean;
  readonly isLocked: boolean;
  /** Text that is equal for sets of the same roots and machine. The newest complete set with the same text stays. */
  readonly series: string;
  /** Number of bytes that are certainly freed if only this set is deleted; 0 if that is unknown. */
  readonly freedBytes: number;
}

interface EarlyPurgeOptions {
  readonly neededBytes: number;
  readonly nowMs: number;
  readonly leastAgeMs: number;
}

/**
 * Returns the sets to delete, oldest first, until the freed bytes suffice. If they never suffice, returns all sets that
 * may be deleted. `sets` has each set once, in any order.
 */
export function setsToDeleteForSpace(
  sets: readonly EarlySet[],
  { neededBytes, nowMs, leastAgeMs }: EarlyPurgeOptions,
): SetNumber[] {
  const ordered = [...sets].sort((a, b) => a.set - b.set);
  const newest = new Map<string, SetNumber>();
  const newestSound = new Map<string, SetNumber>();
  for (const { set, state, series, isDoubtful } of ordered) {
    if (state !== 'complete') continue;
    newest.set(series, set);
    if (!isDoubtful) newestSound.set(series, set);
  }
  const old = setsOlderThan(leastAgeMs, ordered, nowMs);
  const chosen: SetNumber[] = [];
  let freedBytes = 0;
  for (const set of ordered) {
    if (freedBytes >= neededBytes) break;
    const mayGo = set.isExpendable && !set.isLocked && set.state === 'complete';
    const isNewest = [newest, newestSound].some((one) => one.get(set.series) === set.set);
    if (!mayGo || isNewest || !old.has(set.set)) continue;
    chosen.push(set.set);
    freedBytes += Math.max(0, set.freedBytes);
  }
  return chosen;
}
