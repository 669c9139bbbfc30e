/** What a store holds, seen as a user would: paths beneath a directory that was backed up. */
import type { ArchiveEntry } from '../../src/archive/index.js';
import { type Place, withArchive } from './inline.js';

/** Sorted paths beneath `root` (bytes as latin1) of a set; of the newest complete one if not given. */
export function savedPaths(place: Place, root: string, set?: string): Promise<string[]> {
  return withArchive(place, async (archive) => {
    const found = await archive.findSet(set);
    const paths: string[] = [];
    const visit = async (entry: ArchiveEntry, beneath: string): Promise<void> => {
      if (entry.childId === undefined) return;
      const page = { directory: entry.childId, set: found.set, after: Buffer.alloc(0), limit: 1e5 };
      for (const child of await archive.list({ ...page, withDigests: false })) {
        const path = `${beneath}${child.name.toString('latin1')}`;
        paths.push(path);
        await visit(child, `${path}/`);
      }
    };
    const top = await archive.find(Buffer.from(root), found.set);
    if (top === undefined) throw new Error(`${root} was not saved`);
    await visit(top, '');
    return paths.sort();
  });
}
