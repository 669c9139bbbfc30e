/**
 * Makes entries that are in no backup: directories of the top level and above the roots of a set, and links to sets.
 */
import {
  EntryType,
  type EntryTypeNumber,
  metadataOf,
  RowReader,
  unseenRow,
} from '../../model/index.js';
import { entryOfParts } from '../../store/catalog/index.js';
import type { HistoryEntry } from '../history.js';

const NS_PER_MS = 1_000_000n;

function virtualEntry(
  name: Buffer,
  type: EntryTypeNumber,
  {
    permissions,
    timeMs,
    linkTarget,
    uid = 0,
  }: {
    readonly permissions: number;
    readonly uid?: number;
    readonly timeMs: number;
    readonly linkTarget?: Buffer | undefined;
  },
): HistoryEntry {
  const timeNs = BigInt(Math.trunc(timeMs)) * NS_PER_MS;
  const row = unseenRow({
    name,
    type,
    permissions,
    uid,
    gid: 0,
    linkCount: 1, // a directory of 2 would have no directories in it
    mtimeNs: timeNs,
    ctimeNs: timeNs,
    birthTimeNs: timeNs,
    linkTarget,
  });
  return entryOfParts({
    directory: 0,
    firstSet: 0,
    name,
    metadata: metadataOf(new RowReader(row), 0),
  });
}

/** Returns a directory that all users may enter. */
export function virtualDirectory(name: Buffer, timeMs: number): HistoryEntry {
  return virtualEntry(name, EntryType.directory, { permissions: 0o755, timeMs });
}

/** Returns a directory that only one user, and root, may enter. */
export function privateDirectory(name: Buffer, timeMs: number, uid: number): HistoryEntry {
  return virtualEntry(name, EntryType.directory, { permissions: 0o700, uid, timeMs });
}

export function virtualLink(name: Buffer, target: string, timeMs: number): HistoryEntry {
  return virtualEntry(name, EntryType.symlink, {
    permissions: 0o777,
    timeMs,
    linkTarget: Buffer.from(target),
  });
}
