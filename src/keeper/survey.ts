/**
 * What is still needed in a store: contents that a version names, or that such a content rests on, and how much
 * of each record they are. Taken by looking at every row once, in slices; while it is looked no set is open, so
 * nothing changes.
 */
import { type Catalog, type EntryKey, FIRST_ENTRY, IdSet } from '../catalog/index.js';

/** Rows between two breaths. */
const SLICE_ROWS = 4096;

/** Let others in, or throws when the work is to be given up. */
export type Breathe = () => Promise<void>;

export interface Needed {
  readonly contents: IdSet;
  /** Directories that a version leads to, or that have something in them now. */
  readonly directories: IdSet;
}

/** Looks at all versions. */
export async function findNeeded(catalog: Catalog, breathe: Breathe): Promise<Needed> {
  const needed = { contents: new IdSet(), directories: new IdSet() };
  for (let after: EntryKey = FIRST_ENTRY; ; ) {
    const page = catalog.upkeep.entryUses(after, SLICE_ROWS);
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
  addRests(catalog, needed.contents);
  return needed;
}

/** What a needed content rests on is needed: its parts, and the bases of deltas, however deep. */
function addRests(catalog: Catalog, contents: IdSet): void {
  const pairs = [...catalog.upkeep.needs()];
  for (let isMore = true; isMore; ) {
    isMore = false;
    for (const [contentId, rest] of pairs) {
      if (!contents.has(contentId) || contents.has(rest)) continue;
      contents.add(rest);
      isMore = true; // one that was looked at already may rest on this
    }
  }
}

/** How many decoded bytes of each record are of contents there are, by record id; of others than frames at least 1. */
export async function measureRecords(
  catalog: Catalog,
  breathe: Breathe,
): Promise<ReadonlyMap<number, number>> {
  const used = new Map<number, number>();
  for (let after = 0; ; ) {
    const page = catalog.upkeep.contentUses(after, SLICE_ROWS);
    for (const [, recordId, sizeBytes] of page) {
      if (recordId !== null) used.set(recordId, (used.get(recordId) ?? 0) + Math.max(1, sizeBytes));
    }
    if (page.length < SLICE_ROWS) break;
    after = page.at(-1)![0];
    await breathe();
  }
  for (const [, recordId] of catalog.upkeep.signatureUses()) used.set(recordId, 1);
  return used;
}
