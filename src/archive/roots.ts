/** Which root of a set a path belongs to. */
import { splitPath } from '../model/index.js';
import type { RootRecord } from '../store/index.js';

/** The components of `path` below `root`, or undefined when it is not there. */
export function restBelow(root: Buffer, path: Buffer): Buffer[] | undefined {
  const rootParts = splitPath(root);
  const parts = splitPath(path);
  if (rootParts.length > parts.length) return undefined;
  if (!rootParts.every((part, index) => part.equals(parts[index]!))) return undefined;
  return parts.slice(rootParts.length);
}

/** The deepest root at or above a path. */
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
