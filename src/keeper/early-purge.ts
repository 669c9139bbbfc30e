/**
 * Which sets go early when space runs low: only those marked expendable, of the client whose session needs
 * the room, oldest first, never the newest complete one, and none that is younger than a least age. A pure
 * decision over what the catalog says; who purges asks again after each set, since how much a set gives back
 * is known for sure only when it is gone.
 */
import { isOldEnough, seenMoments, type TimedSet } from './set-ages.js';

export interface EarlySet extends TimedSet {
  readonly state: 'unfinished' | 'complete';
  readonly isExpendable: boolean;
  readonly isLocked: boolean;
  /** Equal texts: the same roots. Of each the newest complete set stays. */
  readonly roots: string;
  /** What is surely given back when it goes alone; 0: not known, or nothing. */
  readonly freedBytes: number;
}

export interface EarlyPurgeWish {
  readonly neededBytes: number;
  readonly nowMs: number;
  readonly leastAgeMs: number;
}

/**
 * The sets to drop, in this order, until the bytes they give back are enough: all that may go, if they are
 * not. Sets are given in any order, each once.
 */
export function setsToPurgeEarly(
  sets: readonly EarlySet[],
  { neededBytes, nowMs, leastAgeMs }: EarlyPurgeWish,
): number[] {
  const ordered = [...sets].sort((a, b) => a.set - b.set);
  const newest = new Map<string, number>();
  for (const { set, state, roots } of ordered) if (state === 'complete') newest.set(roots, set);
  const seen = seenMoments(ordered);
  const chosen: number[] = [];
  let freedBytes = 0;
  for (const set of ordered) {
    if (freedBytes >= neededBytes) break;
    const mayGo = set.isExpendable && !set.isLocked && set.state === 'complete';
    if (!mayGo || set.set === newest.get(set.roots)) continue;
    if (!isOldEnough(seen.get(set.set), nowMs, leastAgeMs)) continue;
    chosen.push(set.set);
    freedBytes += Math.max(0, set.freedBytes);
  }
  return chosen;
}
