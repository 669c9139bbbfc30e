/**
 * Finds the data that a store still needs: contents that a version names, contents on which those depend, and the used
 * part of each record. It reads every row once, in slices. No set is open during this, so the rows do not change.
 */
import { addRests, type Catalog, IdSet } from '../../store/catalog/index.js';

/** Lets other work run. Throws if the caller's work must end. */
export type Breathe = () => Promise<void>;

interface Needed {
  readonly contents: IdSet;
  /** Directories that a version leads to, or that have open entries. */
  readonly directories: IdSet;
}

/** Reads all versions, and returns the contents and directories that they need. */
export async function findNeeded(catalog: Catalog, breathe: Breathe): Promise<Needed> {
  const needed = { contents: new IdSet(), directories: new IdSet() };
  for (const page of catalog.gc.entryUses()) {
    for (const [directory, , , isOpen, contentId, childId] of page) {
      if (isOpen === 1) needed.directories.add(directory);
      if (contentId !== null) needed.contents.add(contentId);
      if (childId !== null) needed.directories.add(childId);
    }
    await breathe();
  }
  addRests(catalog.gc.needs(), needed.contents);
  return needed;
}
