/** Reads the content of a store as a user sees it: paths beneath a directory that was backed up. */
import { entriesFrom, type Place, withHistory } from './inline.js';

/** Returns the sorted paths beneath `root` (bytes as latin1) in a set; in the newest complete set by default. */
export function savedPaths(place: Place, root: string, set?: string): Promise<string[]> {
  return withHistory(place, async (history) => {
    const found = await history.findSet(set);
    const top = await history.find(Buffer.from(root), found.set);
    if (top === undefined) throw new Error(`${root} was not saved`);
    const paths: string[] = [];
    for await (const [path] of entriesFrom(history, found.set, '', top)) paths.push(path.slice(1));
    return paths.slice(1).sort(); // the first is the directory itself
  });
}
