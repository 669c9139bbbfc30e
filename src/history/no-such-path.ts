/** The error for a path that a set does not contain. It names the set's roots and another set that has the path. */
import { TardisError } from '../errors/index.js';
import { displayName, type SetNumber, shownRoot } from '../model/index.js';
import type { BackupSet } from '../store/catalog/index.js';
import type { History } from './history.js';
import { restBelow, rootAbove } from './local/roots.js';
import { Unsaved } from './unsaved.js';

/** Maximum number of roots that the message names. */
const MAX_ROOTS_NAMED = 5;
/** Maximum number of sets that are searched, newest first. */
const MAX_SETS_TRIED = 200;

/**
 * Returns NO_SUCH_PATH for an absolute path. The message names the set's roots, what the backup could not read
 * on the way, and the newest other complete set that has the path, if one is found.
 */
export async function noSuchPath(
  history: History,
  set: SetNumber,
  path: Buffer,
): Promise<TardisError> {
  const roots = await history.roots(set);
  const named = roots.slice(0, MAX_ROOTS_NAMED).map((root) => displayName(shownRoot(root.path)));
  const more = roots.length > named.length ? ` and ${roots.length - named.length} more` : '';
  const held = roots.length === 0 ? '' : ` (its roots: ${named.join(', ')}${more})`;
  const isRoot = roots.some((root) => shownRoot(root.path).equals(path));
  const other = await newestWith(history, set, path);
  const hint = other === undefined ? '' : `; set ${other} has it: -b ${other}`;
  const name = displayName(path);
  const what = isRoot
    ? `set ${set} has nothing of its root "${name}"`
    : `set ${set} has no "${name}"${held}`;
  const unread = await (await Unsaved.of(history, set)).onWayTo(path);
  const why = unread === undefined ? '' : `: ${unread.message}`;
  return new TardisError('NO_SUCH_PATH', `${what}${why}${hint}`);
}

async function newestWith(history: History, not: SetNumber, path: Buffer) {
  const sets = (await history.sets()).filter(
    ({ set, state }) => set !== not && state === 'complete',
  );
  for (const { set } of sets.toReversed().slice(0, MAX_SETS_TRIED)) {
    if (rootAbove(await history.roots(set), path) === undefined) continue;
    try {
      if ((await history.find(path, set)) !== undefined) return set;
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'NO_ACCESS') throw error;
    }
  }
  return undefined;
}

/** Returns the listed sets that have a root at a path or above it, oldest first. No other set shows if the path was gone. */
export async function coveringSets(
  history: Pick<History, 'reports' | 'sets'>,
  path: Buffer,
): Promise<SetNumber[]> {
  return setsCovering(await history.reports.rootsOfSets(), await history.sets(), path);
}

/** Returns the numbers of those sets, in their order, that have a root at a path or above it; `roots` has the paths of the roots of each. */
export function setsCovering(
  roots: ReadonlyMap<SetNumber, readonly Buffer[]>,
  sets: readonly Pick<BackupSet, 'set'>[],
  path: Buffer,
): SetNumber[] {
  const isCovering = (set: SetNumber): boolean =>
    roots.get(set)?.some((root) => restBelow(root, path) !== undefined) === true;
  return sets.map(({ set }) => set).filter(isCovering);
}
