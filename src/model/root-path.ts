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

/** Returns the paths of roots in the form that a user writes, sorted. */
export function shownRoots(paths: readonly Buffer[]): Buffer[] {
  return paths.map(shownRoot).sort((one, other) => Buffer.compare(one, other));
}
