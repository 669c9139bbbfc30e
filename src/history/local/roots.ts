/** Finds the root of a set that a path belongs to. */
import { splitPath, splitRoot } from '../../model/index.js';
import type { RootRecord } from '../../store/index.js';

/**
 * Returns the components of `path` below the directory of `root`; undefined if the path is not there. A path that
 * equals the stored path of the root means the root's directory.
 */
export function restBelow(root: Buffer, path: Buffer): Buffer[] | undefined {
  if (root.equals(path)) return [];
  const rootParts = splitPath(root);
  const parts = splitPath(path);
  if (rootParts.length > parts.length) return undefined;
  if (!rootParts.every((part, index) => part.equals(parts[index]!))) return undefined;
  return [...splitRoot(root).below, ...parts.slice(rootParts.length)];
}

/**
 * Returns the deepest root at or above a path, and the names that lead from the root's directory to the path. Returns
 * undefined if there is no such root.
 */
export function rootAbove(
  roots: readonly RootRecord[],
  path: Buffer,
): { root: RootRecord; rest: Buffer[] } | undefined {
  let best: { root: RootRecord; rest: Buffer[] } | undefined;
  for (const root of roots) {
    const rest = restBelow(root.path, path);
    if (rest !== undefined && (best === undefined || rest.length < best.rest.length)) {
      best = { root, rest };
    }
  }
  return best;
}
