/** Versions of a path, proven by the sets that have them. */
import { asTardisError, TardisError } from '../errors/index.js';
import type { SetNumber } from '../model/index.js';
import type { History, HistoryEntry, PathVersion } from './history.js';

/**
 * Returns the entry of a version as the set shows it at the path. The entry is returned unchanged if the client does
 * not encrypt. Otherwise `History.versions` has proven only its name; if the set does not prove it at this path, the
 * result is a stand-in with `damage`.
 */
export async function provenVersion(
  history: History,
  path: Buffer,
  { entry }: Pick<PathVersion, 'entry'>,
  set: SetNumber,
): Promise<HistoryEntry> {
  if (history.contentKeys === undefined || entry.damage !== undefined) return entry;
  try {
    const found = await history.find(path, set);
    if (found !== undefined && isSame(found, entry)) return found;
  } catch (error) {
    const fault = asTardisError(error);
    if (fault.code !== 'NOT_AUTHENTIC' && fault.code !== 'CATALOG_DAMAGED') throw error;
    return standIn(entry, fault);
  }
  const what = `set ${set} does not have this version at its path`;
  return standIn(entry, new TardisError('NOT_AUTHENTIC', what));
}

function isSame(one: HistoryEntry, other: HistoryEntry): boolean {
  const { type, metadata, digest } = other;
  const isContent = digest === undefined || one.digest?.equals(digest) !== false;
  return one.type === type && one.metadata.equals(metadata) && isContent;
}

function standIn(entry: HistoryEntry, damage: TardisError): HistoryEntry {
  return Object.create(entry, { damage: { value: damage } }) as HistoryEntry;
}
