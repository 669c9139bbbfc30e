/**
 * Packed rows: one directory entry with its metadata in a fixed little-endian layout. The native directory
 * reader, the protocol and the listing records of the store share it (docs/inside/formats.md, "Rows"). A listing is a
 * sequence of rows, sorted by the bytes of their names.
 *
 * Rows from the network or the store are untrusted until `checkRows` has accepted them.
 */
import { bufferOf } from './bytes.js';
import { protocolViolation, type TardisError } from '../errors/index.js';
import { checkAttributes } from './attributes.js';

export const ROW_FIXED_BYTES = 72;
export const DIGEST_BYTES = 32;
export const MAX_NAME_BYTES = 4096; // the name of a root's row may be its whole path
/** Maximum size of a sealed link target: 4096 bytes and the vector of 16 bytes, with each byte escaped as two. */
export const MAX_LINK_BYTES: number = 2 * (4096 + 16);

/** Name in the row of a root; the path of the root is given separately. */
export const ROOT_NAME: Buffer = Buffer.from('root');

export const EntryType = Object.freeze({
  file: 1,
  directory: 2,
  symlink: 3,
  fifo: 4,
  socket: 5,
  characterDevice: 6,
  blockDevice: 7,
});
export type EntryTypeNumber = (typeof EntryType)[keyof typeof EntryType];
const MAX_ENTRY_TYPE = 7;

export const RowFlag = Object.freeze({
  hasDigest: 1,
  /**
   * The file changed so recently that another change could leave its times as they are. So the next backup reads it
   * again.
   */
  unsettled: 2,
  /** The metadata could not be read. */
  unreadable: 4,
  changedWhileRead: 8,
  otherDevice: 16,
  /** Extended attributes follow the link target. */
  hasAttributes: 32,
  /**
   * The content is in the sparse form: a map of its data, then the data. In a listing: the file has fewer blocks than
   * its size needs.
   */
  sparse: 64,
  /** The entry has attributes that must still be read. The flag never leaves the process that read the file. */
  /**
   * The type of an unreadable row is unknown, and is given as `file`. The flag never leaves the process that listed
   * the entry.
   */
  unknownType: 128,
});
/** Values of the size field of a directory: the kind of file system that is mounted on it. */
export const MountState = Object.freeze({
  none: 0,
  mounted: 1,
  /** A file system in memory: its contents are lost when it is unmounted. */
  memory: 2,
  /** A file system without entries. */
  empty: 3,
});

/** Flags that the catalog stores. */
export const STORED_FLAGS = RowFlag.unsettled | RowFlag.changedWhileRead | RowFlag.sparse;

export const RowOffset = Object.freeze({
  rowBytes: 0,
  nameBytes: 4,
  linkBytes: 6,
  type: 8,
  flags: 9,
  permissions: 10,
  uid: 12,
  gid: 16,
  linkCount: 20,
  sizeBytes: 24,
  mtimeNs: 32,
  ctimeNs: 40,
  birthTimeNs: 48,
  inode: 56,
  device: 64,
});

/** One decoded entry. Times are nanoseconds since 1970; sizes are bytes. */
export interface Entry {
  readonly name: Buffer;
  readonly type: EntryTypeNumber;
  readonly flags: number;
  readonly permissions: number;
  readonly uid: number;
  readonly gid: number;
  readonly linkCount: number;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthTimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  readonly digest: Buffer | undefined;
  readonly linkTarget: Buffer | undefined;
  /** Packed attributes (see attributes.ts). */
  readonly attributes: Buffer | undefined;
}

/** Reads fields of packed rows by offset, without creating an object for each entry. */
export class RowReader {
  readonly rows: Buffer;

  constructor(rows: Uint8Array) {
    this.rows = bufferOf(rows);
  }

  rowBytes(at: number): number {
    return this.rows.readUInt32LE(at);
  }
  type(at: number): EntryTypeNumber {
    return this.rows[at + RowOffset.type] as EntryTypeNumber;
  }
  flags(at: number): number {
    return this.rows[at + RowOffset.flags]!;
  }
  setPermissions(at: number, permissions: number): void {
    this.rows.writeUInt16LE(permissions, at + RowOffset.permissions);
  }

  setFlags(at: number, flags: number): void {
    this.rows[at + RowOffset.flags] = flags;
  }
  /** Returns the size, exact up to 2^53 - 1; `checkRows` rejects larger sizes. */
  sizeBytes(at: number): number {
    return (
      this.rows.readUInt32LE(at + RowOffset.sizeBytes + 4) * 0x1_0000_0000 +
      this.rows.readUInt32LE(at + RowOffset.sizeBytes)
    );
  }
  mtimeNs(at: number): bigint {
    return this.rows.readBigInt64LE(at + RowOffset.mtimeNs);
  }
  ctimeNs(at: number): bigint {
    return this.rows.readBigInt64LE(at + RowOffset.ctimeNs);
  }
  birthTimeNs(at: number): bigint {
    return this.rows.readBigInt64LE(at + RowOffset.birthTimeNs);
  }
  inode(at: number): bigint {
    return this.rows.readBigUInt64LE(at + RowOffset.inode);
  }
  permissions(at: number): number {
    return this.rows.readUInt16LE(at + RowOffset.permissions);
  }
  uid(at: number): number {
    return this.rows.readUInt32LE(at + RowOffset.uid);
  }
  gid(at: number): number {
    return this.rows.readUInt32LE(at + RowOffset.gid);
  }
  linkCount(at: number): number {
    return this.rows.readUInt32LE(at + RowOffset.linkCount);
  }
  hasDigest(at: number): boolean {
    return (this.flags(at) & RowFlag.hasDigest) !== 0;
  }
  private variableStart(at: number): number {
    return at + ROW_FIXED_BYTES + (this.hasDigest(at) ? DIGEST_BYTES : 0);
  }
  /** Returns a view of the digest, not a copy. */
  digest(at: number): Buffer {
    return this.rows.subarray(at + ROW_FIXED_BYTES, at + ROW_FIXED_BYTES + DIGEST_BYTES);
  }
  /** Returns a view of the name, not a copy. */
  name(at: number): Buffer {
    const start = this.variableStart(at);
    return this.rows.subarray(start, start + this.rows.readUInt16LE(at + RowOffset.nameBytes));
  }
  /** Returns a view of the target, not a copy. */
  linkTarget(at: number): Buffer {
    const start = this.variableStart(at) + this.rows.readUInt16LE(at + RowOffset.nameBytes);
    return this.rows.subarray(start, start + this.rows.readUInt16LE(at + RowOffset.linkBytes));
  }
  /** Returns the packed attributes as a view, not a copy; undefined if there are none. */
  attributes(at: number): Buffer | undefined {
    if ((this.flags(at) & RowFlag.hasAttributes) === 0) return undefined;
    return this.rows.subarray(this.attributesStart(at), at + this.rowBytes(at));
  }
  /** Returns the offset of the attributes, even if there are none. */
  private attributesStart(at: number): number {
    return (
      this.variableStart(at) +
      this.rows.readUInt16LE(at + RowOffset.nameBytes) +
      this.rows.readUInt16LE(at + RowOffset.linkBytes)
    );
  }
  row(at: number): Buffer {
    return this.rows.subarray(at, at + this.rowBytes(at));
  }
}

/**
 * True for the row of a file that stands for the contents of a block device, and so has its number. A row loses the number
 * before it is stored: such a row never leaves the process that read the device.
 */
export function holdsDevice(rows: RowReader, at: number): boolean {
  return rows.type(at) === EntryType.file && rows.rows.readUInt32LE(at + RowOffset.device) !== 0;
}

/** Returns the `MountState` in the row of a directory; any unknown number counts as mounted. */
export function mountState(rows: RowReader, at: number): number {
  const state = rows.sizeBytes(at);
  return state > MountState.empty ? MountState.mounted : state;
}

/** Calls `visit` with the offset of each row. */
export function forEachRow(rows: RowReader, visit: (at: number) => void): void {
  for (let at = 0; at < rows.rows.length; at += rows.rowBytes(at)) visit(at);
}

export function countRows(rows: RowReader): number {
  let count = 0;
  for (let at = 0; at < rows.rows.length; at += rows.rowBytes(at)) count += 1;
  return count;
}

/** Decodes one row. Buffers in the result are copies. */
export function decodeRow(rows: RowReader, at: number): Entry {
  const type = rows.type(at);
  const buffer = rows.rows;
  return {
    name: Buffer.from(rows.name(at)),
    type,
    flags: rows.flags(at),
    permissions: rows.permissions(at),
    uid: buffer.readUInt32LE(at + RowOffset.uid),
    gid: buffer.readUInt32LE(at + RowOffset.gid),
    linkCount: rows.linkCount(at),
    sizeBytes: rows.sizeBytes(at),
    mtimeNs: rows.mtimeNs(at),
    ctimeNs: rows.ctimeNs(at),
    birthTimeNs: rows.birthTimeNs(at),
    inode: rows.inode(at),
    device: buffer.readBigUInt64LE(at + RowOffset.device),
    digest: rows.hasDigest(at) ? Buffer.from(rows.digest(at)) : undefined,
    linkTarget: type === EntryType.symlink ? Buffer.from(rows.linkTarget(at)) : undefined,
    attributes: copyOf(rows.attributes(at)),
  };
}

function copyOf(bytes: Buffer | undefined): Buffer | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes);
}

/** Packs one entry; the inverse of `decodeRow`. */
export function encodeRow(entry: Entry): Buffer {
  const digestBytes = entry.digest === undefined ? 0 : DIGEST_BYTES;
  const linkBytes = entry.linkTarget?.length ?? 0;
  const attributeBytes = entry.attributes?.length ?? 0;
  const row = Buffer.alloc(
    ROW_FIXED_BYTES + digestBytes + entry.name.length + linkBytes + attributeBytes,
  );
  row.writeUInt32LE(row.length, RowOffset.rowBytes);
  row.writeUInt16LE(entry.name.length, RowOffset.nameBytes);
  row.writeUInt16LE(linkBytes, RowOffset.linkBytes);
  row[RowOffset.type] = entry.type;
  row[RowOffset.flags] =
    (entry.flags & ~(RowFlag.hasDigest | RowFlag.hasAttributes)) |
    (digestBytes === 0 ? 0 : RowFlag.hasDigest) |
    (attributeBytes === 0 ? 0 : RowFlag.hasAttributes);
  row.writeUInt16LE(entry.permissions, RowOffset.permissions);
  row.writeUInt32LE(entry.uid, RowOffset.uid);
  row.writeUInt32LE(entry.gid, RowOffset.gid);
  row.writeUInt32LE(entry.linkCount, RowOffset.linkCount);
  row.writeBigUInt64LE(BigInt(entry.sizeBytes), RowOffset.sizeBytes);
  row.writeBigInt64LE(entry.mtimeNs, RowOffset.mtimeNs);
  row.writeBigInt64LE(entry.ctimeNs, RowOffset.ctimeNs);
  row.writeBigInt64LE(entry.birthTimeNs, RowOffset.birthTimeNs);
  row.writeBigUInt64LE(entry.inode, RowOffset.inode);
  row.writeBigUInt64LE(entry.device, RowOffset.device);
  let at = ROW_FIXED_BYTES;
  if (entry.digest !== undefined) at += entry.digest.copy(row, at);
  at += entry.name.copy(row, at);
  if (entry.linkTarget !== undefined) at += entry.linkTarget.copy(row, at);
  entry.attributes?.copy(row, at);
  return row;
}

/** Default fields of a row for an entry that was not read from a file system. */
const UNSEEN = Object.freeze({
  flags: 0,
  sizeBytes: 0,
  ctimeNs: 0n,
  birthTimeNs: 0n,
  inode: 0n,
  device: 0n,
  digest: undefined,
  linkTarget: undefined,
  attributes: undefined,
});

/** Returns the row of an entry that was not read from a file system. */
export function unseenRow(entry: Omit<Entry, keyof typeof UNSEEN> & Partial<Entry>): Buffer {
  return encodeRow({ ...UNSEEN, ...entry });
}

/** Returns the row of a directory that was not read from a file system, as if it had just been created. */
export function newDirectoryRow(
  owner: Pick<Entry, 'name' | 'permissions' | 'uid' | 'gid'>,
  nowMs: number,
): Buffer {
  const mtimeNs = BigInt(nowMs) * 1_000_000n;
  return unseenRow({ ...owner, type: EntryType.directory, linkCount: 2, mtimeNs });
}

/** Returns a copy of a row with these attributes, or without attributes if `attributes` is empty. */
export function withAttributes(row: Buffer, attributes: Uint8Array): Buffer {
  const old = new RowReader(row).attributes(0)?.length ?? 0;
  const bare = row.subarray(0, row.length - old);
  const fresh = Buffer.concat([bare, attributes]);
  fresh.writeUInt32LE(fresh.length, RowOffset.rowBytes);
  const flags = fresh[RowOffset.flags]! & ~RowFlag.hasAttributes;
  fresh[RowOffset.flags] = attributes.length === 0 ? flags : flags | RowFlag.hasAttributes;
  return fresh;
}

/**
 * Copies the row at `at` to `target`, and adds or replaces its digest. Returns the end offset. `target` needs
 * room for the row and DIGEST_BYTES more.
 */
export function copyRowWithDigest(
  rows: RowReader,
  at: number,
  digest: Uint8Array,
  target: Buffer,
  targetAt: number,
): number {
  const tailStart = at + ROW_FIXED_BYTES + (rows.hasDigest(at) ? DIGEST_BYTES : 0);
  const tailEnd = at + rows.rowBytes(at);
  rows.rows.copy(target, targetAt, at, at + ROW_FIXED_BYTES);
  target.set(digest, targetAt + ROW_FIXED_BYTES);
  const tailAt = targetAt + ROW_FIXED_BYTES + DIGEST_BYTES;
  rows.rows.copy(target, tailAt, tailStart, tailEnd);
  const end = tailAt + (tailEnd - tailStart);
  target.writeUInt32LE(end - targetAt, targetAt);
  target[targetAt + RowOffset.flags]! |= RowFlag.hasDigest;
  return end;
}

/** True if a name may occur in a directory: not empty, not too long, not `.` or `..`, without `/` and NUL. */
export function isEntryName(name: Uint8Array): boolean {
  if (name.length === 0 || name.length > MAX_NAME_BYTES) return false;
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) {
    return false;
  }
  return !name.includes(0x2f) && !name.includes(0);
}

/**
 * Checks untrusted rows: bounds, types, names and sizes. Throws PROTOCOL_VIOLATION with the offset of the first fault.
 * Afterwards every RowReader call at the start of a row stays in bounds. With `sorted`, names must be in ascending
 * order, without duplicates.
 */
export function checkRows(bytes: Uint8Array, sorted: boolean): RowReader {
  const rows = new RowReader(bytes);
  const { rows: buffer } = rows;
  let previous: Buffer | undefined;
  let at = 0;
  while (at < buffer.length) {
    if (at + ROW_FIXED_BYTES > buffer.length) throw badRow(at, 'is cut off');
    const rowBytes = rows.rowBytes(at);
    const nameBytes = buffer.readUInt16LE(at + RowOffset.nameBytes);
    const linkBytes = buffer.readUInt16LE(at + RowOffset.linkBytes);
    const wanted =
      ROW_FIXED_BYTES + (rows.hasDigest(at) ? DIGEST_BYTES : 0) + nameBytes + linkBytes;
    const hasAttributes = (rows.flags(at) & RowFlag.hasAttributes) !== 0;
    const isWhole = hasAttributes ? rowBytes > wanted : rowBytes === wanted;
    if (!isWhole || at + rowBytes > buffer.length) throw badRow(at, 'has a wrong length');
    if (hasAttributes && !checkAttributes(buffer.subarray(at + wanted, at + rowBytes))) {
      throw badRow(at, 'has malformed attributes');
    }
    const type = rows.type(at);
    if (type < 1 || type > MAX_ENTRY_TYPE) throw badRow(at, 'has an unknown type');
    if (rows.hasDigest(at) && type !== EntryType.file) throw badRow(at, 'has a digest, is no file');
    const isUnread = (rows.flags(at) & RowFlag.unreadable) !== 0; // then a symlink has no target
    const mayLink = type === EntryType.symlink;
    if (linkBytes > MAX_LINK_BYTES || (linkBytes > 0 ? !mayLink : mayLink && !isUnread)) {
      throw badRow(at, 'has a wrong link target');
    }
    if (!Number.isSafeInteger(rows.sizeBytes(at))) throw badRow(at, 'has an impossible size');
    const name = rows.name(at);
    if (!isEntryName(name)) throw badRow(at, 'has a forbidden name');
    if (sorted && previous !== undefined && Buffer.compare(previous, name) >= 0) {
      throw badRow(at, 'is out of order');
    }
    previous = name;
    at += rowBytes;
  }
  return rows;
}

function badRow(at: number, what: string): TardisError {
  return protocolViolation(`a row ${what}`, { offset: at });
}
