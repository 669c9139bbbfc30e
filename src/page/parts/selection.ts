/** The selected paths of a set. A selected directory includes everything below it. */
import { isBelow } from './paths.js';

export type Selection = ReadonlySet<string>;

/** Bound on the paths of a selection, which are the parameters of one request. */
export const MAX_SELECTED = 500;

export const NOTHING: Selection = new Set();

/** Returns the selection with a path, or without it if it was selected. Paths below it are no longer listed. */
export function toggled(selection: Selection, path: string): Selection {
  if (selection.has(path)) return without(selection, path);
  return withPaths(selection, [path]);
}

export function without(selection: Selection, path: string): Selection {
  return new Set([...selection].filter((one) => one !== path));
}

/** Returns the selection with more paths, up to the bound. */
export function withPaths(selection: Selection, paths: readonly string[]): Selection {
  const kept = [...selection].filter((one) => !paths.some((path) => isBelow(one, path)));
  return new Set([...kept, ...paths].slice(0, MAX_SELECTED));
}

/** True if a path or a directory above it is selected. */
export function includes(selection: Selection, path: string): boolean {
  if (selection.has(path)) return true;
  return [...selection].some((one) => isBelow(path, one));
}
