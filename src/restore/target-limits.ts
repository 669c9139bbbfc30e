/** Finds the attributes that the file system of a target accepts without an error but does not keep. */
import { decodeRow, EntryType, RowReader, SECOND_NS, unseenRow } from '../model/index.js';
import { failedAttributes, type System, tryFlock } from '../system/index.js';
import { temporaryName } from '../workers/index.js';

/** 2100-01-01 and a third of a second, past the end of 32-bit times. */
const LATE_NS = 4_102_444_800n * SECOND_NS + 333_333_333n;
/** An odd second on 2001-09-09, and a third of a second. */
const EARLY_NS = 1_000_000_001n * SECOND_NS + 333_333_333n;
const PERMISSIONS = 0o640;
/** The loss of a file system without locks; the journal of a restore is then not locked. */
const LOCKS = 'locks, so run this restore only once at a time';
/** Units of times, finest first. FAT stores even seconds. */
const UNITS: readonly (readonly [ns: bigint, name: string])[] = [
  [1n, ''],
  [100n, '100 nanoseconds'],
  [1000n, 'microseconds'],
  [1_000_000n, 'milliseconds'],
  [SECOND_NS, 'seconds'],
  [2n * SECOND_NS, 'two seconds'],
];

/** The attributes that a restore gives to entries. */
export interface RequestedLimits {
  readonly permissions: boolean;
  readonly times: boolean;
}

/**
 * Returns descriptions of the attributes that are lost, such as "times after 2038". Attributes that the file system
 * rejects are not listed: each entry then fails with its error. Writes a temporary file, and removes it.
 */
export function lossesOf(
  system: System,
  directoryFd: number,
  prefix: string,
  requested: RequestedLimits,
): string[] {
  const { native } = system;
  const name = Buffer.from(temporaryName(system, prefix));
  let fd: number | undefined;
  try {
    fd = native.createFileAt(directoryFd, name);
    const refused = new Set<string>();
    const [early, late] = [EARLY_NS, LATE_NS].map((mtimeNs) => {
      const output = native.finishFile(fd!, probeRow(mtimeNs), 0, 0);
      for (const attribute of failedAttributes(output)) refused.add(attribute.name);
      return decodeRow(new RowReader(native.statAt(directoryFd, name)), 0);
    });
    const permissions = early!.permissions === PERMISSIONS ? [] : ['permissions'];
    const times = lostTimes(early!.mtimeNs, late!.mtimeNs);
    const locks = tryFlock(native, fd) === 'none' ? [LOCKS] : [];
    return [
      ...(requested.permissions && !refused.has('permissions') ? permissions : []),
      ...(requested.times && !refused.has('times') ? times : []),
      ...locks,
    ];
  } catch {
    return []; // each entry will report that the file system rejects its attributes
  } finally {
    if (fd !== undefined) {
      native.close(fd);
      native.unlinkAt(directoryFd, name);
    }
  }
}

function lostTimes(earlyNs: bigint, lateNs: bigint): string[] {
  const unit = unitOf(EARLY_NS, earlyNs);
  if (unit === undefined) return ['times'];
  const fine = unit === '' ? [] : [`times finer than ${unit}`];
  const late = unitOf(LATE_NS, lateNs) === undefined ? ['times after 2038'] : [];
  return [...fine, ...late];
}

/**
 * Returns the unit to which a time was rounded; empty if it was stored exactly, undefined if the stored time is not a
 * rounded one.
 */
function unitOf(setNs: bigint, keptNs: bigint): string | undefined {
  const apartNs = setNs > keptNs ? setNs - keptNs : keptNs - setNs;
  return UNITS.find(([ns]) => keptNs % ns === 0n && apartNs < ns)?.[1];
}

function probeRow(mtimeNs: bigint): Buffer {
  const name = Buffer.from('x');
  const mine = { name, permissions: PERMISSIONS, uid: 0, gid: 0 };
  return unseenRow({ ...mine, type: EntryType.file, linkCount: 1, mtimeNs });
}
