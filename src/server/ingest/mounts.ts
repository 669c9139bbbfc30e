/**
 * Mount points below a root. If their file system is no longer mounted, is empty, or is another one, the user has
 * most likely not deleted the files. The stored entries are then kept, like those of a protected root, unless the
 * client trusts the present state.
 */
import type { Catalog, HeadRow } from '../../store/catalog/index.js';
import { EntryType, joinRow, MountState, mountState, RowReader } from '../../model/index.js';

type Known = Pick<HeadRow, 'metadata' | 'childId'>;

const NAME = Buffer.from('x');

/** Returns the known row of a directory if a file system was mounted on it and has entries. */
function mountedBefore(catalog: Catalog, known: Known): RowReader | undefined {
  if (known.childId === undefined) return undefined;
  const row = new RowReader(joinRow(known.metadata, NAME, undefined));
  if (row.type(0) !== EntryType.directory || mountState(row, 0) === MountState.none)
    return undefined;
  return catalog.entries.headNames(known.childId, 1).length > 0 ? row : undefined;
}

/** True if a file system with entries was mounted on a directory, which is now missing from its listing. */
export function isMountGone(catalog: Catalog, known: Known): boolean {
  return mountedBefore(catalog, known) !== undefined;
}

/**
 * True if a file system with entries was mounted on a directory, and the directory's new row shows none, an empty one,
 * or another one. File systems in memory are excepted: they are different after each boot.
 */
export function isMountDoubtful(
  catalog: Catalog,
  known: Known,
  rows: RowReader,
  at: number,
): boolean {
  const before = mountedBefore(catalog, known);
  if (before === undefined) return false;
  const state = rows.type(at) === EntryType.directory ? mountState(rows, at) : MountState.none;
  if (state === MountState.none || state === MountState.empty) return true;
  // A file system in memory is another one after each boot.
  if (state === MountState.memory || mountState(before, 0) === MountState.memory) return false;
  return before.inode(0) !== rows.inode(at) || before.birthTimeNs(0) !== rows.birthTimeNs(at);
}
