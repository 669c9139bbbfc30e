/** Reads the content of a store as a user sees it: paths beneath a directory that was backed up. */
import type { HistoryEntry } from '../../src/history/index.js';
import { type Place, withHistory } from './inline.js';

/** Returns the sorted paths beneath `root` (bytes as latin1) in a set; in the newest complete set by default. */
export function savedPaths(place: Place, root: string, set?: string): Promise<string[]> {
  return withHistory(place, async (history) => {
    const found = await history.findSet(set);
    const paths: string[] = [];
    const visit = async (entry: HistoryEntry, beneath: string): Promise<void> => {
      if (entry.childId === undefined) return;
      const page = { directory: entry.childId, set: found.set, after: Buffer.alloc(0), limit: 1e5 };
      for (const child of await history.list({ ...page, withDigests: false })) {
        const path = `${beneath}${child.name.toString('latin1')}`;
        paths.push(path);
        await visit(child, `${path}/`);
      }
    };
    const top = await history.find(Buffer.from(root), found.set);
    if (top === undefined) throw new Error(`${root} was not saved`);
    await visit(top, '');
    return paths.sort();
  });
}
