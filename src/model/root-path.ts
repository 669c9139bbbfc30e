/**
 * Paths of roots. Most roots are directories, stored under their paths. A root that is a single file has the
 * path `DIRECTORY/./NAME`. Its directory contains only that entry, so that readers, seals and copies can treat
 * it like any other root.
 */
import { pathBelow, splitPath } from './names.js';
import { SLASH_BYTES } from './bytes.js';

const MARK = Buffer.from('/./');

interface SplitRoot {
  /** Path of the root's directory. */
  readonly directory: Buffer;
  /** Names behind the `/./`: one name for a file, none for a directory. */
  readonly below: readonly Buffer[];
}

export function splitRoot(path: Buffer): SplitRoot {
  const at = path.indexOf(MARK);
  if (at < 0) return { directory: path, below: [] };
  const directory = at === 0 ? SLASH_BYTES : path.subarray(0, at);
  return { directory, below: splitPath(path.subarray(at + MARK.length)) };
}

/** Returns the path of a root that is a single file. */
export function fileRootPath(directory: Buffer, name: Buffer): Buffer {
  const above = directory.equals(SLASH_BYTES) ? Buffer.alloc(0) : directory;
  return Buffer.concat([above, MARK, name]);
}

/** Returns the path of a root in the form that a user writes: the path of the directory, or of the file. */
export function shownRoot(path: Buffer): Buffer {
  const { directory, below } = splitRoot(path);
  return pathBelow(directory, below);
}

/** Returns the paths of roots in the form that a user writes, each once, sorted. */
export function shownRoots(paths: readonly Buffer[]): Buffer[] {
  const shown = new Map(paths.map(shownRoot).map((path) => [path.toString('latin1'), path]));
  return [...shown.values()].sort((one, other) => Buffer.compare(one, other));
}

/**
 * Returns a root that is a single file, and another root at its path or below it, which a set with both could not show.
 * Returns undefined if there are no such roots.
 */
export function hiddenRoot(
  paths: readonly Buffer[],
): { readonly file: Buffer; readonly hidden: Buffer } | undefined {
  const roots = paths.map((path) => {
    const shown = shownRoot(path);
    return { shown, isFile: !shown.equals(path), key: `${shown.toString('latin1')}/` };
  });
  // A root directly follows the one that hides it; of equal paths, the file comes first.
  const order = (one: (typeof roots)[number]): string => `${one.key}${one.isFile ? '' : '\0'}`;
  roots.sort((one, other) => (order(one) < order(other) ? -1 : 1));
  const at = roots.findIndex(
    ({ isFile, key }, index) => isFile && roots[index + 1]?.key.startsWith(key),
  );
  return at < 0 ? undefined : { file: roots[at]!.shown, hidden: roots[at + 1]!.shown };
}
