/** Finds circles of imports between the folders of src. An import of a type counts too. */
import path from 'node:path';
import { relativeImports } from './imports.js';

/** Folders that a folder imports, each with the files that do so. */
type Arrows = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Returns `file: folder` of each import from which imports lead back to the file's own folder; first those of folders
 * that few files import. A folder and those within it count as one room, which may import each other.
 */
export function circles(files: readonly string[], read: (file: string) => string): string[] {
  const folders = arrowsOf(files, read);
  const leadsTo = (folder: string, goal: string, seen: Set<string>): boolean => {
    if (folder === goal) return true;
    if (seen.has(folder)) return false;
    seen.add(folder);
    return [...(folders.get(folder)?.keys() ?? [])].some((next) => leadsTo(next, goal, seen));
  };
  const found = [...folders].flatMap(([from, arrows]) =>
    [...arrows].filter(([to]) => leadsTo(to, from, new Set())),
  );
  return found
    .toSorted(([, by], [, byOthers]) => by.size - byOthers.size)
    .flatMap(([to, by]) => [...by].map((file) => `${file}: ${to}`));
}

function arrowsOf(files: readonly string[], read: (file: string) => string): Map<string, Arrows> {
  const folders = new Map<string, Map<string, Set<string>>>();
  for (const file of files) {
    const from = path.posix.dirname(file);
    const arrows = folders.get(from) ?? new Map<string, Set<string>>();
    folders.set(from, arrows);
    for (const { target } of relativeImports(file, read(file))) {
      const to = path.posix.dirname(target);
      if (isWithin(from, to) || isWithin(to, from)) continue;
      arrows.set(to, (arrows.get(to) ?? new Set()).add(file));
    }
  }
  return folders;
}

function isWithin(folder: string, outer: string): boolean {
  return `${folder}/`.startsWith(`${outer}/`);
}
