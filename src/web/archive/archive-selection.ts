/** Determines the part of a set that an archive contains, and the names in the archive. */
import { type History, noSuchPath } from '../../history/index.js';
import {
  isEntryName,
  lastComponent,
  type SetNumber,
  shownRoot,
  liesBelow,
  splitPath,
} from '../../model/index.js';
import type { ArchiveRequest } from '../../restore/index.js';

/**
 * Returns the selection of some paths of a set, without duplicates; without paths, it selects all roots. A path above
 * roots selects these roots. The names in the archive begin with the last component of each path, or are whole paths if
 * last components would be ambiguous. Throws NO_SUCH_PATH.
 */
export async function archiveSelection(
  history: History,
  set: SetNumber,
  paths: readonly Buffer[],
): Promise<Pick<ArchiveRequest, 'set' | 'paths' | 'hierarchy'>> {
  const roots = (await history.roots(set)).map(({ path }) => shownRoot(path));
  if (paths.length === 0) return { set, paths: roots, hierarchy: true };
  const chosen = new Map<string, Buffer>();
  let isAbove = false;
  for (const path of paths) {
    const isFound = splitPath(path).every(isEntryName) && (await history.find(path, set));
    const below = isFound === undefined ? roots.filter((root) => liesBelow(root, path)) : [];
    if (isFound === false || (isFound === undefined && below.length === 0)) {
      throw await noSuchPath(history, set, path);
    }
    isAbove ||= below.length > 0;
    for (const each of below.length === 0 ? [path] : below) {
      chosen.set(each.toString('latin1'), each);
    }
  }
  const all = [...chosen.values()];
  const names = new Set(all.map((path) => lastComponent(path).toString('latin1')));
  return { set, paths: all, hierarchy: isAbove || names.size < all.length };
}
