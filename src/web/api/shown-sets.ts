/**
 * Finds a listed set that contains a version. The first set of the version may have been deleted, and not every set has
 * every root.
 */
import { type History, restBelow } from '../../history/index.js';
import type { SetNumber } from '../../model/index.js';

/** The sets in which a version is valid; `lastSet` is undefined while it is current. */
export interface SetSpan {
  readonly firstSet: SetNumber;
  readonly lastSet?: SetNumber | undefined;
}

/**
 * Returns a function for versions at a path or below it. For a version, that function returns the newest listed set
 * that contains it; undefined if there is none.
 */
export async function setsShowing(
  history: History,
  path: Buffer,
): Promise<(span: SetSpan) => SetNumber | undefined> {
  const roots = await history.reports.rootsOfSets();
  const hasPath = (set: SetNumber): boolean =>
    (roots.get(set) ?? []).some((root) => restBelow(root, path) !== undefined);
  const newestFirst = (await history.sets())
    .map(({ set }) => set)
    .filter(hasPath)
    .toReversed();
  return ({ firstSet, lastSet }) =>
    newestFirst.find((set) => set >= firstSet && set <= (lastSet ?? set));
}
