/** Looks through the rows of a listing: counts, finds directories, and marks what may change again. */
import { systemCode } from '../errors/index.js';
import { EntryType, joinPath, RowFlag, type RowReader } from '../model/index.js';
import { type System, wallMs } from '../system/index.js';
import type { Failure } from './jobs.js';
import type { OwnerNames } from './owner-names.js';

/** An entry changed later than this before it was read may change again without a trace. */
export const RACY_WINDOW_NS = 2_000_000_000n;

export interface Inspected {
  readonly entries: number;
  /** Bytes of the regular files. */
  readonly fileBytes: number;
  /** No row is unreadable or may change again. */
  readonly isSettled: boolean;
  /** Offsets of the rows of directories. */
  readonly directories: readonly number[];
  /** Offsets of rows that only say that something is there. */
  readonly unreadable: readonly number[];
}

/**
 * Marks entries that were changed at or after `fromNs` (see `racyFromNs`):
 * clocks are coarse, and a later change could show the same time.
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

/** The clock of listings. */
export function nowNs(system: System): bigint {
  return BigInt(wallMs(system.clock)) * 1_000_000n;
}

/**
 * From when on a change may have been overlooked by what was read since `startNs`. A clock that was set back
 * meanwhile dates changes earlier than that.
 */
export function racyFromNs(system: System, startNs: bigint): bigint {
  const endNs = nowNs(system);
  return (endNs < startNs ? endNs : startNs) - RACY_WINDOW_NS;
}

/** What to tell of unreadable rows. */
export function unreadableFailures(
  system: System,
  slot: number,
  path: Buffer,
  rows: RowReader,
  unreadable: readonly number[],
): Failure[] {
  return unreadable.map((at) => {
    const name = Buffer.from(rows.name(at));
    const whole = joinPath(path, name);
    const reason = whyUnreadable(system, whole, name);
    return { slot, name, path: whole, what: 'unreadable', reason };
  });
}

/** The listing says only that an entry could not be looked at: so it is looked at once more. */
function whyUnreadable(system: System, path: Buffer, name: Buffer): string {
  try {
    system.native.statRow(path, name);
    return 'EAGAIN'; // this time it could
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return code;
  }
}
