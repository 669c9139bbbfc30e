/** The selected paths of a set. A selected directory includes everything below it. */
import { parentOf } from './paths.js';

export type Selection = ReadonlySet<string>;

/** Maximum number of paths in a selection, and in one request for a restore or an archive. */
export const MAX_SELECTED = 10_000;

export const NOTHING: Selection = new Set();

/** Returns the selection with a path added, or removed if it was selected. Paths below an added path are removed. */
export function toggled(selection: Selection, path: string): Selection {
  if (selection.has(path)) return without(selection, path);
  return withPaths(selection, [path]);
}

function without(selection: Selection, path: string): Selection {
  return new Set([...selection].filter((one) => one !== path));
}

/** Returns the selection with more paths, up to the maximum number. Selected paths below the added ones are removed. */
export function withPaths(selection: Selection, paths: readonly string[]): Selection {
  const more = new Set(paths);
  const kept = [...selection].filter((one) => !includes(more, one));
  return new Set([...kept, ...paths].slice(0, MAX_SELECTED));
}

/** True if a path or a directory above it is selected. */
export function includes(selection: Selection, path: string): boolean {
  for (let at: string | undefined = path; at !== undefined; at = parentOf(at)) {
    if (selection.has(at)) return true;
  }
  return false;
}

/**
 * Returns one set, and the rows of that set, since an archive or a restore is of one set. The set is that of the rows
 * that are already selected (`selected`). If none is selected, it is the browsed set if a row is of it, otherwise the
 * set of the first row.
 */
export function ofOneSet<R extends { readonly inSet: number | undefined }>(
  rows: readonly R[],
  selected: number | undefined,
  browsed: number,
): { readonly set: number; readonly rows: readonly R[] } {
  const setOf = ({ inSet }: R): number => inSet ?? browsed;
  const hasBrowsed = rows.some((row) => setOf(row) === browsed);
  const [first] = rows;
  const set = selected ?? (hasBrowsed || first === undefined ? browsed : setOf(first));
  return { set, rows: rows.filter((row) => setOf(row) === set) };
}
