/** The part of a set that an archive has, and the names in it. */
import type { History } from '../../history/index.js';
import { isEntryName, lastComponent, shownRoot, splitPath } from '../../model/index.js';
import type { ArchiveRequest } from '../../restore/index.js';

/**
 * Returns the selection of some paths of a set; without paths, of all its roots. A path above roots stands for these.
 * Paths are whole if last components would be ambiguous, and begin with the last component otherwise.
 */
export async function archiveSelection(
  history: History,
  set: number,
  paths: readonly Buffer[],
): Promise<Pick<ArchiveRequest, 'set' | 'paths' | 'hierarchy'>> {
  const roots = (await history.roots(set)).map(({ path }) => shownRoot(path));
  if (paths.length === 0) return { set, paths: roots, hierarchy: true };
  const chosen: Buffer[] = [];
  for (const path of paths) {
    const isFound = splitPath(path).every(isEntryName) && (await history.find(path, set));
    const below = isFound === undefined ? roots.filter((root) => isBelow(root, path)) : [];
    chosen.push(...(below.length === 0 ? [path] : below));
  }
  const unique = new Set(chosen.map((path) => path.toString('latin1')));
  const names = new Set(chosen.map((path) => lastComponent(path).toString('latin1')));
  const asked = new Set(paths);
  const isAbove = chosen.some((path) => !asked.has(path));
  return { set, paths: chosen, hierarchy: isAbove || names.size < unique.size };
}

function isBelow(path: Buffer, above: Buffer): boolean {
  const parts = splitPath(path);
  const top = splitPath(above);
  return top.length < parts.length && top.every((part, index) => part.equals(parts[index]!));
}
