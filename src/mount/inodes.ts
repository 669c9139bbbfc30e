/** Returns the values that make inode numbers. The numbers are their hashes, so that they are equal at each mount. */
import type { HistoryEntry } from '../history/index.js';
import { EntryType } from '../model/index.js';
import { keyOf } from '../restore/index.js';

/** Stands for the directory of a set. Other directories without an id have lower numbers. */
const SET_DIRECTORY = -2;

/** The values of which an inode number is the hash (see `packEntry` of the addon). */
export interface Inode {
  readonly set: number;
  readonly directory: number | undefined;
  readonly bytes: Buffer | undefined;
}

/**
 * Returns the inode of a directory of a set. Directories without an id of their own have negative ids. The root of the
 * mount is directory 0 of set 0.
 */
export function inodeOfDirectory(set: number, directory: number): Inode {
  return { set, directory: directory < 0 ? 2 ** 52 + directory : directory, bytes: undefined };
}

/** Returns the inode of the directory of a set at the top level, which is known before the set is read. */
export function inodeOfSet(set: number): Inode {
  return inodeOfDirectory(set, SET_DIRECTORY);
}

/** Returns the inode of a directory that has only a path. */
export function inodeOfPath(path: Buffer): Inode {
  return { set: 0, directory: undefined, bytes: path };
}

/** Returns the inode of an entry: equal for all names of one file, if it has several. */
export function inodeOf(
  set: number,
  directory: number,
  entry: HistoryEntry,
  device: string,
): Inode {
  const isLinked = entry.linkCount > 1 && entry.type !== EntryType.directory;
  if (!isLinked) return { set, directory, bytes: entry.name };
  return { set, directory: undefined, bytes: Buffer.from(keyOf(entry, device), 'latin1') };
}
