import type { SetNumber } from '../../model/index.js';

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
