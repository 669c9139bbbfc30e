import { TardisError } from '../../errors/index.js';
import type { SetNumber } from '../../model/index.js';
import type { History } from '../history.js';

/** Counts of returned data without proof, and the warnings about it. */
export class UnprovenCounts {
  /** Sets without a seal that were read. */
  readonly unsealedSets = new Set<SetNumber>();
  /** Number of directories that a set did not read completely. */
  directories = 0;
  /** Number of versions that were left out, since their entries are damaged. */
  damagedVersions = 0;

  /** Returns the warnings, including `others`: those about unsealed sets, then `others`, then all other warnings. */
  doubts(others: readonly string[]): readonly string[] {
    const doubts = [...this.unsealedSets].map(
      (set) =>
        `set ${set} is not complete, so it has no seal: nothing proves which entries it has, and in which directories; ` +
        'a file may come from another directory or another time',
    );
    doubts.push(...others);
    if (this.damagedVersions > 0) {
      doubts.push(`${this.damagedVersions} versions are left out: their entries are damaged`);
    }
    if (this.directories === 0) return doubts;
    const what =
      this.directories === 1 ? 'a directory was' : `${this.directories} directories were`;
    return [
      ...doubts,
      `${what} not read whole by this set: nothing proves which entries are there`,
    ];
  }
}

/** Returns the difference between a sum of seals and an earlier one, as a number of 256 bits. */
export function differenceOf(sum: Buffer, before: Buffer): Buffer {
  const difference = Buffer.alloc(sum.length);
  let borrow = 0;
  for (let at = 0; at < sum.length; at += 1) {
    const value = sum[at]! - before[at]! - borrow;
    borrow = value < 0 ? 1 : 0;
    difference[at] = value & 0xff;
  }
  return difference;
}

/**
 * Returns a history whose roots, entries and listings are all proven by the client's seals. Its calls throw NOT_PROVEN
 * instead of returning data without proof. This function throws NOT_PROVEN if the client does not encrypt, since it
 * then has no seals.
 */
export function provenHistory(history: History): History {
  if (history.contentKeys === undefined) {
    throw new TardisError(
      'NOT_PROVEN',
      `the client "${history.client}" does not encrypt, so it has no seals`,
    );
  }
  const proven = async <T>(answer: Promise<T>): Promise<T> => {
    const found = await answer;
    const older = 'the store shows less than this machine has seen';
    const doubt = history.isOlder === true ? older : history.doubts[0];
    if (doubt !== undefined) throw new TardisError('NOT_PROVEN', doubt);
    return found;
  };
  return Object.create(history, {
    roots: { value: (set: SetNumber) => proven(history.roots(set)) },
    find: { value: (path: Buffer, set: SetNumber) => proven(history.find(path, set)) },
    listPacked: { value: undefined }, // pages that `list` has not returned
    list: {
      value: async (page: Parameters<History['list']>[0]) => {
        const entries = await proven(history.list(page));
        for (const { damage } of entries) if (damage !== undefined) throw damage;
        return entries;
      },
    },
  }) as History;
}
