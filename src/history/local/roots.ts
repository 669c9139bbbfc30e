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

/** A root at or above a path, and the names that lead from the root's directory to the path. */
export interface RootAbove {
  readonly root: RootRecord;
  readonly rest: Buffer[];
}

/** Returns the deepest root at or above a path, by which a set shows the path; undefined if there is no such root. */
export function rootAbove(roots: readonly RootRecord[], path: Buffer): RootAbove | undefined {
  let [best, bestDepth]: [RootAbove | undefined, number] = [undefined, -1];
  for (const root of roots) {
    const rest = restBelow(root.path, path);
    const depth = rest === undefined ? -1 : splitPath(root.path).length;
    // A file that is a root of its own is as near to the path as its directory, if that is a root too.
    if (rest !== undefined && depth > bestDepth) [best, bestDepth] = [{ root, rest }, depth];
  }
  return best;
}
