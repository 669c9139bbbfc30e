/**
 * Inspects the rows of a listing: counts them, finds directories, and marks entries that may change again unnoticed.
 */
import { systemCode } from '../errors/index.js';
import { EntryType, joinPath, RowFlag, RowReader } from '../model/index.js';
import { type DirectoryPlace, OpenedPlace, type System, wallMs } from '../system/index.js';
import type { DirectoryTask } from './directory-block.js';
import type { Failure } from './jobs.js';
import type { OwnerNames } from './owner-names.js';

/** Time before a read within which a changed entry is unsettled: it may change again without a different time. */
export const RACY_WINDOW_NS = 2_000_000_000n;
const NS_PER_MS = 1_000_000n;

export interface Inspected {
  readonly entries: number;
  /** Bytes of the regular files. */
  readonly fileBytes: number;
  /** True if no row is unreadable or may change again unnoticed. */
  readonly isSettled: boolean;
  /** Offsets of the rows of directories. */
  readonly directories: readonly number[];
  /** Offsets of rows that record only that an entry exists. */
  readonly unreadable: readonly number[];
}

/**
 * Inspects rows, and marks entries that changed at or after `fromNs` (see `racyFromNs`). Clocks are coarse, so a later
 * change could have the same time.
 */
export function inspectRows(rows: RowReader, fromNs: bigint, owners: OwnerNames): Inspected {
  const directories: number[] = [];
  const unreadable: number[] = [];
  let [entries, fileBytes, isSettled] = [0, 0, true];
  for (let at = 0; at < rows.rows.length; at += rows.rowBytes(at)) {
    const flags = rows.flags(at);
    entries += 1;
    owners.meet(rows.uid(at), rows.gid(at));
    if ((flags & RowFlag.unreadable) !== 0) {
      isSettled = false;
      rows.setFlags(at, flags & ~RowFlag.unknownType);
      unreadable.push(at);
      continue;
    }
    if (rows.ctimeNs(at) >= fromNs) {
      rows.setFlags(at, flags | RowFlag.unsettled);
      isSettled = false;
    }
    const type = rows.type(at);
    if (type === EntryType.file) fileBytes += rows.sizeBytes(at);
    else if (type === EntryType.directory) directories.push(at);
  }
  return { entries, fileBytes, isSettled, directories, unreadable };
}

/** Returns the wall-clock time in nanoseconds. */
export function nowNs(system: System): bigint {
  return BigInt(wallMs(system.clock)) * NS_PER_MS;
}

/**
 * Returns the earliest time of a change that a read may have missed. `startNs` is when the read began. If the clock
 * was set back during the read, changes have earlier times, so the result follows from the end of the read. While there are
 * snapshots, the result follows from the oldest: their files may have changed again since then.
 */
export function racyFromNs(system: System, startNs: bigint): bigint {
  const sinceMs = system.native.redirectedSince();
  const sinceNs = sinceMs === undefined ? startNs : BigInt(sinceMs) * NS_PER_MS;
  const endNs = nowNs(system);
  const earlierNs = endNs < startNs ? endNs : startNs;
  return (sinceNs < earlierNs ? sinceNs : earlierNs) - RACY_WINDOW_NS;
}

/** Flags the files that changed at `racyNs` or later, so that the next backup reads them again. */
export function markUnsettled(bytes: Buffer, racyNs: bigint): void {
  const rows = new RowReader(bytes);
  for (let at = 0; at < bytes.length; at += rows.rowBytes(at)) {
    const hasContent = rows.type(at) === EntryType.file && rows.sizeBytes(at) > 0;
    if (!hasContent || rows.ctimeNs(at) < racyNs) continue;
    rows.setFlags(at, rows.flags(at) | RowFlag.unsettled);
  }
}

/** Returns the failures of a directory's unreadable rows. */
export function unreadableFailures(
  system: System,
  directory: Pick<DirectoryTask, 'slot'> & DirectoryPlace,
  rows: RowReader,
  unreadable: readonly number[],
): Failure[] {
  const { slot, path } = directory;
  return unreadable.map((at) => {
    const name = Buffer.from(rows.name(at));
    const reason = whyUnreadable(system, directory, name);
    return { slot, name, path: joinPath(path, name), what: 'unreadable', reason };
  });
}

/**
 * Returns the reason why an entry is unreadable. The listing does not contain the reason, so the entry is read once
 * more.
 */
function whyUnreadable({ native }: System, place: DirectoryPlace, name: Buffer): string {
  try {
    using directory = new OpenedPlace(native, place);
    native.statAt(directory.fd, name);
    return 'EAGAIN'; // this time it was readable
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return code;
  }
}
