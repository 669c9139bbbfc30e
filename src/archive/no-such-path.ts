/** What is told when a set has not what was asked for: its roots, and where to look instead. */
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import type { Archive } from './archive.js';
import { rootAbove } from './roots.js';

/** Of the roots, so many are named. */
const MAX_ROOTS_NAMED = 5;
/** So many sets are looked at, the newest first. */
const MAX_SETS_TRIED = 200;

/** NO_SUCH_PATH for an absolute path, with the set's roots and the newest set that has the path. */
export async function noSuchPath(
  archive: Archive,
  set: number,
  path: Buffer,
): Promise<TardisError> {
  const roots = await archive.roots(set);
  const named = roots.slice(0, MAX_ROOTS_NAMED).map((root) => displayName(root.path));
  const more = roots.length > named.length ? ` and ${roots.length - named.length} more` : '';
  const held = roots.length === 0 ? '' : ` (its roots: ${named.join(', ')}${more})`;
  const other = await newestWith(archive, set, path);
  const hint = other === undefined ? '' : `; set ${other} has it: -b ${other}`;
  return new TardisError('NO_SUCH_PATH', `set ${set} has no "${displayName(path)}"${held}${hint}`);
}

async function newestWith(archive: Archive, not: number, path: Buffer) {
  const sets = (await archive.sets()).filter(
    ({ set, state }) => set !== not && state === 'complete',
  );
  for (const { set } of sets.toReversed().slice(0, MAX_SETS_TRIED)) {
    if (rootAbove(await archive.roots(set), path) === undefined) continue;
    try {
      if ((await archive.find(path, set)) !== undefined) return set;
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'NO_ACCESS') throw error;
    }
  }
  return undefined;
}
