/**
 * Finds the data that a store still needs: contents that a version names, contents on which those depend, and the used
 * part of each record. It reads every row once, in slices. No set is open during this, so the rows do not change.
 */
import { type ContentId, NO_CONTENT, type RecordId } from '../../model/index.js';
import {
  addRests,
  type Catalog,
  type EntryKey,
  FIRST_ENTRY,
  IdSet,
} from '../../store/catalog/index.js';

/** Number of rows in one slice. */
const SLICE_ROWS = 4096;

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
  for (let after: EntryKey = FIRST_ENTRY; ; ) {
    const page = catalog.gc.entryUses(after, SLICE_ROWS);
    for (const [directory, , , isOpen, contentId, childId] of page) {
      if (isOpen === 1) needed.directories.add(directory);
      if (contentId !== null) needed.contents.add(contentId);
      if (childId !== null) needed.directories.add(childId);
    }
    if (page.length < SLICE_ROWS) break;
    const [directory, name, firstSet] = page.at(-1)!;
    after = [directory, name, firstSet];
    await breathe();
  }
  addRests(catalog.gc.needs(), needed.contents);
  return needed;
}

/**
 * Returns the number of decoded bytes of each record that contents use, at least 1, by record id. With `needed`, only
 * its contents count; otherwise all known contents.
 */
export async function measureRecords(
  catalog: Catalog,
  breathe: Breathe,
  needed?: IdSet,
): Promise<ReadonlyMap<RecordId, number>> {
  const counts = (contentId: ContentId): boolean => needed?.has(contentId) ?? true;
  const used = new Map<RecordId, number>();
  for (let after: ContentId = NO_CONTENT; ; ) {
    const page = catalog.gc.contentUses(after, SLICE_ROWS);
    for (const [contentId, recordId, sizeBytes] of page) {
      if (recordId !== null && counts(contentId))
        used.set(recordId, (used.get(recordId) ?? 0) + Math.max(1, sizeBytes));
    }
    if (page.length < SLICE_ROWS) break;
    after = page.at(-1)![0];
    await breathe();
  }
  for (const [contentId, recordId] of catalog.gc.signatureUses()) {
    if (counts(contentId)) used.set(recordId, 1);
  }
  return used;
}
