/**
 * Inspects the rows of a listing: counts them, finds directories, and marks entries that may change again unnoticed.
 */
import { requireSystemCode } from '../errors/index.js';
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
  readonly directories: Uint32Array;
  /** Identities of the directories. */
  readonly identities: Uint8Array;
  /** Offsets of rows that record only that an entry exists. */
  readonly unreadable: Uint32Array;
}

/** Numbers before the lists in the addon's result: bytes of files in two of 32 bits, entries, and so on. */
const HEAD_NUMBERS = 8;

/**
 * Inspects the rows of a listing, which began to be read at `startNs`, and marks entries that may have changed since. Clocks are
 * coarse, so a later change could have the same time. `directory` is the identity of the listed directory.
 */
export function inspectRows(
  system: System,
  listing: Buffer,
  { startNs, directory }: { readonly startNs: bigint; readonly directory: Uint8Array },
  owners: OwnerNames,
): Inspected {
  const found = system.native.inspectRows(listing, racyFromNs(system, startNs), directory);
  const numbers = new Uint32Array(found.buffer, found.byteOffset, found.length >>> 2);
  const [low, high, entries, isSettled, directories, unreadable, inOwners] = numbers;
  const unreadableAt = HEAD_NUMBERS + directories!;
  const ownersAt = unreadableAt + unreadable!;
  const end = ownersAt + inOwners!;
  for (let at = ownersAt; at < end; at += 2) owners.meet(numbers[at]!, numbers[at + 1]!);
  return {
    entries: entries!,
    fileBytes: high! * 0x1_0000_0000 + low!,
    isSettled: isSettled === 1,
    directories: numbers.subarray(HEAD_NUMBERS, unreadableAt),
    identities: found.subarray(end * 4),
    unreadable: numbers.subarray(unreadableAt, ownersAt),
  };
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
  unreadable: Uint32Array,
): Failure[] {
  const { slot, path } = directory;
  return Array.from(unreadable, (at) => {
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
    const code = requireSystemCode(error);
    return code;
  }
}
