/** Makes the names that exist only in a mount or WebDAV: of sets, days and versions. */
import type { BackupSet } from '../../store/catalog/index.js';
import { isEntryName } from '../../model/index.js';

/** Maximum length of a name on Linux. */
const MAX_NAME_BYTES = 255;

/** Maximum number of entries of a directory that are requested at once. */
export const SHOWN_PAGE_ENTRIES = 512;

export const BY_DATE = 'by-date';
export const VERSIONS = 'versions';
/** Default name of the link to the newest complete set. */
export const CURRENT = 'Current';

/** A set as shown at the top level. */
export interface ShownSet {
  readonly name: string;
  readonly set: BackupSet;
}

/** Returns the sets with the names of their directories. A set whose name is already taken is shown by its number. */
export function namedSets(sets: readonly BackupSet[], taken: readonly string[]): ShownSet[] {
  const names = new Set(taken);
  return sets.map((set) => {
    const isFree = canBeShown(Buffer.from(set.name)) && !names.has(set.name);
    let name = isFree ? set.name : String(set.set);
    while (names.has(name)) name += '_';
    names.add(name);
    return { name, set };
  });
}

/** True if programs can use this as the name of a file. */
function canBeShown(name: Buffer): boolean {
  return isEntryName(name) && name.length <= MAX_NAME_BYTES;
}

/** Returns the local day of a set, as directories: year, month, day. */
export function dayOf({ openedAtMs }: BackupSet): [year: string, month: string, day: string] {
  const date = new Date(openedAtMs);
  return [String(date.getFullYear()), two(date.getMonth() + 1), two(date.getDate())];
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/**
 * Returns the name of a version by its first set: a local time that sorts as text, and the name of the set. A set whose
 * name cannot be part of a file name is named by its number.
 */
export function versionName({ openedAtMs, name, set }: BackupSet): Buffer {
  const localMs = openedAtMs - new Date(openedAtMs).getTimezoneOffset() * 60_000;
  const time = new Date(localMs).toISOString().slice(0, 19);
  const start = time.replace('T', '_').replaceAll(':', '');
  // A set that nobody named has this time as its name.
  const full = Buffer.from(name === start ? name : `${start}_${name}`);
  return canBeShown(full) ? full : Buffer.from(`${start}_${set}`);
}
