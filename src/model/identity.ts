/**
 * The identity of a listed entry, by which the addon recognises it when it is opened later. Between the two, any user who
 * may write to a directory above it can put something else in its place.
 */
import { bufferOf, isZeros } from './bytes.js';
import { holdsDevice, mountState, RowFlag, RowOffset, type RowReader } from './row.js';

/**
 * Layout, little endian: device (u64; 0 if it is unknown, and the addon then compares owner and mode, too), inode (u64),
 * user, group (u32 each), permissions (u16), type, what is mounted on it (u8 each), the number of the block device whose contents
 * are read (u32), the line of a directory, 1 if that `wasClosed` (u8), and zeros.
 *
 * The line shows which users may reach a directory, if another one has taken its place or that of one above it: the inode of
 * the root or mount point that it is below (u64; 0 for one of these; all ones if the line begins at "/", since the inode of the
 * root proves nothing), and two digests of the owners, modes and ACLs of the directories between, without and with the directory
 * itself (16 bytes each). The addon computes the latter when it opens the directory for the first time.
 */
export const IDENTITY_BYTES = 80;
const INODE = 8;
const USER = 16;
const PERMISSIONS = 24;
const TYPE = 26;
const MOUNT = 27;
const NODE = 28;
const TOP = 32;
const ABOVE = 40;
const BELOW = 56;
const CLOSED = 72;

/** Returns the identity of an entry, whose row is at `at`, of a directory on `device`. */
export function identityOf(rows: RowReader, at: number, device: bigint): Buffer {
  const identity = blank(rows, at);
  if (!isElsewhere(rows, at)) identity.writeBigUInt64LE(device);
  return identity;
}

/** Returns the identity of a directory, whose row is at `at`, in a directory that was opened by its identity. */
export function identityBelow(rows: RowReader, at: number, above: Uint8Array): Buffer {
  const identity = blank(rows, at);
  const isMountPoint = isElsewhere(rows, at) || isZeros(above.subarray(0, INODE));
  if (isMountPoint) return identity; // there is nothing above it on its device
  identity.set(above.subarray(0, INODE));
  const isTop = isZeros(above.subarray(TOP, ABOVE));
  identity.set(isTop ? above.subarray(INODE, USER) : above.subarray(TOP, ABOVE), TOP);
  identity.set(above.subarray(BELOW, CLOSED), ABOVE);
  return identity;
}

/** True if an entry is on another device than its directory. Then its device is unknown. */
function isElsewhere(rows: RowReader, at: number): boolean {
  return (rows.flags(at) & RowFlag.otherDevice) !== 0;
}

/** Returns the identity of an entry without a device. Bytes are copied, since a walk needs one for each directory. */
function blank(reader: RowReader, at: number): Buffer {
  const { rows } = reader;
  const identity = Buffer.allocUnsafe(IDENTITY_BYTES).fill(0);
  rows.copy(identity, INODE, at + RowOffset.inode, at + RowOffset.device);
  rows.copy(identity, USER, at + RowOffset.uid, at + RowOffset.linkCount);
  rows.copy(identity, PERMISSIONS, at + RowOffset.permissions, at + RowOffset.uid);
  identity[TYPE] = reader.type(at);
  if (isElsewhere(reader, at)) identity[MOUNT] = mountState(reader, at);
  if (holdsDevice(reader, at))
    rows.copy(identity, NODE, at + RowOffset.device, at + RowOffset.device + 4);
  return identity;
}

/** Returns a view of the n-th of several identities. */
export function identityIn(identities: Uint8Array, index: number): Buffer {
  const { buffer, byteOffset } = identities;
  return Buffer.from(buffer, byteOffset + index * IDENTITY_BYTES, IDENTITY_BYTES);
}

/** Returns the device of a directory that was opened by its identity. */
export function deviceOf(identity: Uint8Array): bigint {
  return bufferOf(identity).readBigUInt64LE();
}

/** True if the addon has found the directory closed: it gives less access than it was listed with, or one above it does. */
export function wasClosed(identity: Uint8Array): boolean {
  return identity[CLOSED] !== 0;
}

/** Returns the number of the user to whom a listed entry belongs. */
export function ownerOf(identity: Uint8Array): number {
  return bufferOf(identity).readUInt32LE(USER);
}

/** Returns the permissions of a listed entry. */
export function permissionsOf(identity: Uint8Array): number {
  return bufferOf(identity).readUInt16LE(PERMISSIONS);
}

/** Code of the addon's error for an entry that is not the one that was listed. */
export const REPLACED = 'EREPLACED';
