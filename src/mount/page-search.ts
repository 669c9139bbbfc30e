/** Searches the page of a directory for a name, for its directories, and for its sparse files. */
import type { History, HistoryEntry } from '../history/index.js';
import { EntryType, firstIndex, isSparse } from '../model/index.js';
import { placeOf } from './node-ids.js';
import type { LoadedPage } from './page-cache.js';
import type { ListedNode } from './packed-listings.js';
import type { ShownEntry } from './tree.js';

/** Returns the entry of a name, by binary search if the page is sorted. */
export function foundIn({ entries, isSorted }: LoadedPage, name: Buffer): ShownEntry | undefined {
  if (!isSorted) return entries.find(({ entry }) => entry.name.equals(name));
  const nameAt = (index: number): Buffer => entries[index]!.entry.name;
  const found = entries[firstIndex(entries.length, (at) => Buffer.compare(nameAt(at), name) >= 0)];
  return found?.entry.name.equals(name) === true ? found : undefined;
}

/** Returns the directories of a page. */
export function childrenOf(page: LoadedPage): ListedNode[] {
  return page.entries.flatMap(({ entry, nodeLow, nodeHigh }, index) => {
    if (entry.type !== EntryType.directory || (nodeLow === 0 && nodeHigh === 0)) return [];
    const { directory } = placeOf(nodeLow, nodeHigh);
    return [{ position: page.first + index, number: directory }];
  });
}

/** Returns the number of bytes of data of each sparse file. */
export async function storedSizes(
  history: History,
  entries: readonly HistoryEntry[],
): Promise<Map<HistoryEntry, number>> {
  const sparse = entries.filter(
    ({ metadata, damage, contentId }) =>
      damage === undefined && contentId !== undefined && isSparse(metadata),
  );
  if (sparse.length === 0) return new Map();
  const located = await history.locate(sparse).catch(() => []); // reading the file reports it
  return new Map(
    sparse.map((entry, index) => {
      const pieces = located[index] ?? [];
      const bytes = pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      return [entry, Math.min(bytes, Number.MAX_SAFE_INTEGER)]; // a store may lie about sizes
    }),
  );
}
