/**
 * Reads extended attributes when rows become final. Only new and changed entries are read, so a walk over unchanged
 * entries costs nothing more. A change of attributes changes the ctime, which the skip hash covers.
 */
import fs from 'node:fs';
import { requireSystemCode } from '../errors/index.js';
import {
  aclsAmong,
  EntryType,
  MAX_ATTRIBUTES_BYTES,
  NO_BYTES,
  REPLACED,
  RowFlag,
  RowOffset,
  RowReader,
} from '../model/index.js';
import type { System } from '../system/index.js';

export interface ReadAttributes {
  /** Packed attributes; empty if there are none, or if they could not be read. */
  readonly packed: Buffer;
  /** The error of reading them: the system's error code, or E2BIG if a row cannot hold them. */
  readonly failure: string | undefined;
  /** True if the entry vanished or was replaced by one of another kind, which the next backup sees. */
  readonly isGone: boolean;
  /** True if another entry, or none, has the name now. */
  readonly isOther: boolean;
}

/** A name that stands for what a descriptor opened. */
export const ITSELF = Buffer.alloc(0);
const NONE: ReadAttributes = Object.freeze({
  packed: NO_BYTES,
  failure: undefined,
  isGone: false,
  isOther: false,
});
const PASSING = /^(ENOENT|ENOTDIR|ELOOP|ENAMETOOLONG)$/;
const OWNER_BITS = 0o700;
const PERMISSION_BITS = 0o7777;

/**
 * Reads the attributes of an open entry, and its exact modification time if a row cannot hold it. With `listed`, reads those of
 * an entry of an open directory, which must be the one that was listed (EREPLACED).
 */
export function readAttributesOf(
  { native }: System,
  fd: number,
  listed?: { readonly name: Buffer; readonly identity: Buffer },
): ReadAttributes {
  try {
    const name = listed?.name ?? ITSELF;
    const packed = native.attributesAt(fd, name, true, MAX_ATTRIBUTES_BYTES, listed?.identity);
    return packed.length === 0 ? NONE : { ...NONE, packed };
  } catch (error) {
    return unreadAttributes(error);
  }
}

/** Returns the result for attributes that were not read because of this error. Throws an error that is not the system's. */
export function unreadAttributes(error: unknown): ReadAttributes {
  const failure = requireSystemCode(error);
  const isGone = PASSING.test(failure);
  return { packed: NO_BYTES, failure, isGone, isOther: isGone || failure === REPLACED };
}

/**
 * Takes all access but the owner's from a row whose attributes are unknown: they may have held an ACL, whose mask is what the mode
 * shows as the rights of the group. Also from one that was read while it, or its directory, was closed. The next backup reads the
 * entry again.
 */
export function closeRow(rows: RowReader, at: number): void {
  if (rows.type(at) !== EntryType.symlink)
    rows.setPermissions(at, rows.permissions(at) & OWNER_BITS);
  rows.setFlags(at, rows.flags(at) | RowFlag.unsettled);
}

/** True if two rows of one file, which have their attributes, give the same users access. */
export function isSameAccess(row: Buffer, other: Buffer): boolean {
  const { permissions, linkCount } = RowOffset; // between them are the owner and the group
  if (row.compare(other, permissions, linkCount, permissions, linkCount) !== 0) return false;
  return isSameAcl(new RowReader(row).attributes(0), new RowReader(other).attributes(0));
}

function isSameAcl(packed: Buffer | undefined, other: Buffer | undefined): boolean {
  return aclsAmong(packed).equals(aclsAmong(other));
}

/**
 * Closes the row of an open file, as it was before its content was read, if other users have access to the file now: its owner
 * may have closed it, and then written what was read. Throws EREPLACED if it belongs to another user now.
 */
export function closeIfChanged(system: System, fd: number, row: RowReader, packed: Buffer): void {
  const now = readAttributesOf(system, fd);
  const { mode, uid, gid } = fs.fstatSync(fd);
  if (uid !== row.uid(0))
    throw Object.assign(new Error('the file belongs to another user now'), { code: REPLACED });
  const isSameMode = (mode & PERMISSION_BITS) === row.permissions(0) && gid === row.gid(0);
  if (now.failure !== undefined || !isSameMode || !isSameAcl(packed, now.packed)) closeRow(row, 0);
}
