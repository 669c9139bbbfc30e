/**
 * The identity of a listed entry, by which the addon recognises it when it is opened later. Between the two, any user who
 * may write to a directory above it can put something else in its place.
 */
import { bufferOf } from './bytes.js';
import { mountState, RowFlag, type RowReader } from './row.js';

/**
 * Layout, little endian: device (u64), inode (u64), user, group (u32 each), permissions (u16), type, what is mounted on it
 * (u8 each), zeros (u32), and the line of a directory.
 *
 * The line shows which users may reach a directory, if another one has taken its place or that of one above it: the inode of
 * the root or mount point that it is below (u64; 0 for one of these), and two digests of the owners and modes of the directories
 * between, without and with the directory itself (16 bytes each). The addon computes the latter when it opens the directory.
 */
export const IDENTITY_BYTES = 72;
const INODE = 8;
const USER = 16;
const GROUP = 20;
const PERMISSIONS = 24;
const TYPE = 26;
const MOUNT = 27;
const TOP = 32;
const ABOVE = 40;
const BELOW = 56;
/** Device of an entry that is on another device than its directory. The addon then compares owner and mode, too. */
const UNKNOWN_DEVICE = 0n;

/** Returns the identity of an entry, whose row is at `at`, of a directory on `device`. */
export function identityOf(rows: RowReader, at: number, device: bigint): Buffer {
  const identity = Buffer.alloc(IDENTITY_BYTES);
  const isElsewhere = (rows.flags(at) & RowFlag.otherDevice) !== 0;
  identity.writeBigUInt64LE(isElsewhere ? UNKNOWN_DEVICE : device);
  identity.writeBigUInt64LE(rows.inode(at), INODE);
  identity.writeUInt32LE(rows.uid(at), USER);
  identity.writeUInt32LE(rows.gid(at), GROUP);
  identity.writeUInt16LE(rows.permissions(at), PERMISSIONS);
  identity[TYPE] = rows.type(at);
  if (isElsewhere) identity[MOUNT] = mountState(rows, at);
  return identity;
}

/** Returns the identity of a directory, whose row is at `at`, in a directory that was opened by its identity. */
export function identityBelow(rows: RowReader, at: number, above: Uint8Array): Buffer {
  const identity = identityOf(rows, at, deviceOf(above));
  const isTop = deviceOf(identity) === UNKNOWN_DEVICE;
  if (isTop) return identity;
  const whole = bufferOf(above);
  const top = whole.readBigUInt64LE(TOP);
  identity.writeBigUInt64LE(top === 0n ? whole.readBigUInt64LE(INODE) : top, TOP);
  whole.copy(identity, ABOVE, BELOW);
  return identity;
}

/** Returns a view of the n-th of several identities. */
export function identityIn(identities: Uint8Array, index: number): Buffer {
  return bufferOf(identities).subarray(index * IDENTITY_BYTES, (index + 1) * IDENTITY_BYTES);
}

/** Returns the device of a directory that was opened by its identity. */
export function deviceOf(identity: Uint8Array): bigint {
  return bufferOf(identity).readBigUInt64LE();
}

/** Code of the addon's error for an entry that is not the one that was listed. */
export const REPLACED = 'EREPLACED';
