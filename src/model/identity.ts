/**
 * The identity of a listed entry, by which the addon recognises it when it is opened later. Between the two, any user who
 * may write to a directory above it can put something else in its place.
 */
import { bufferOf } from './bytes.js';
import { RowFlag, type RowReader } from './row.js';

/** Layout, little endian: device (u64), inode (u64), user, group (u32 each), permissions (u16), type (u8), zeros. */
export const IDENTITY_BYTES = 32;
const INODE = 8;
const USER = 16;
const GROUP = 20;
const PERMISSIONS = 24;
const TYPE = 26;
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
