/** Directories above the roots of a set. The set itself does not contain them. */
import { isBelow, joinPath } from './paths.js';

/**
 * Returns the segments that a directory above the roots contains; undefined if the directory is a root or is below a
 * root.
 */
export function aboveRoots(path: string, roots: readonly string[]): string[] | undefined {
  if (roots.some((root) => isBelow(path, root))) return undefined;
  const below = roots.filter((root) => isBelow(root, path));
  const start = path === '/' ? 1 : path.length + 1;
  return [...new Set(below.map((root) => root.slice(start).split('/')[0] ?? ''))].sort();
}

/** Returns the directory to show first: the only root, or the deepest directory above all roots. */
export function startingPath(roots: readonly string[]): string {
  const [only] = roots;
  if (roots.length === 1 && only !== undefined) return only;
  let path = '/';
  for (;;) {
    const segments = aboveRoots(path, roots);
    if (segments?.length !== 1) return path;
    const next = joinPath(path, segments[0]!);
    if (roots.includes(next)) return path;
    path = next;
  }
}
