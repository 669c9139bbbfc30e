/**
 * Finds the listed sets that show a version. An interrupted run leaves an unfinished set, which is no longer listed
 * once a later set is complete.
 */
import type { BackupSet } from '../../history/index.js';
import type { SetNumber } from '../../model/index.js';

interface Span {
  readonly firstSet: SetNumber;
  /** Undefined if the version is still current. */
  readonly lastSet: SetNumber | undefined;
}

/** Returns a version with its first and last listed set; undefined if no listed set (`sets`, oldest first) shows it. */
export function listedSpan<T extends Span>(version: T, sets: readonly BackupSet[]): T | undefined {
  const { firstSet, lastSet } = version;
  const first = sets.find(({ set }) => set >= firstSet);
  const last = sets.findLast(({ set }) => set <= (lastSet ?? Infinity));
  if (first === undefined || last === undefined || last.set < first.set) return undefined;
  return { ...version, firstSet: first.set, lastSet: lastSet === undefined ? undefined : last.set };
}
