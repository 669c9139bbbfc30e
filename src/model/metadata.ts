/** The part of a row that the catalog stores: all but lengths, name and digest, in as few bytes as possible. */
import { checkAttributes } from './attributes.js';
import { BytesBuilder } from './bytes.js';
import {
  DIGEST_BYTES,
  EntryType,
  MAX_LINK_BYTES,
  ROW_FIXED_BYTES,
  RowFlag,
  RowOffset,
  type RowReader,
} from './row.js';

/** Offset in a row at which the stored metadata begins; the length fields before it are left out. */
export const METADATA_FROM = RowOffset.type;
const METADATA_TO = RowOffset.device;
const METADATA_BYTES = METADATA_TO - METADATA_FROM;
/** Offset of the row's flags within metadata. */
export const METADATA_FLAGS_AT: number = RowOffset.flags - METADATA_FROM;
const DEVICE_BYTES = ROW_FIXED_BYTES - METADATA_TO;
const LENGTH_BYTES = 2;

/** True if the type is that of a device node. */
export function isDevice(type: number): boolean {
  return type === EntryType.characterDevice || type === EntryType.blockDevice;
}

/**
 * Returns the metadata that the catalog stores of a row: the fixed part from the type on, then a symlink's
 * target. Only device nodes have the device number. If the row has attributes, the fixed part is followed by
 * the length of the target (u16), the target and the attributes. The result is a view if possible.
 */
export function metadataOf(rows: RowReader, at: number): Buffer {
  const type = rows.type(at);
  const to = at + (isDevice(type) ? ROW_FIXED_BYTES : METADATA_TO);
  const fixed = rows.rows.subarray(at + METADATA_FROM, to);
  const attributes = rows.attributes(at);
  if (attributes === undefined) {
    return type === EntryType.symlink ? Buffer.concat([fixed, rows.linkTarget(at)]) : fixed;
  }
  const link = rows.linkTarget(at);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16LE(link.length);
  return Buffer.concat([fixed, length, link, attributes]);
}

/** The parts of variable length in metadata. */
interface Tail {
  readonly link: Buffer;
  readonly attributes: Buffer | undefined;
}

function tailOf(metadata: Buffer): Tail {
  const at = METADATA_BYTES + (isDevice(metadata[0]!) ? DEVICE_BYTES : 0);
  if ((metadata[METADATA_FLAGS_AT]! & RowFlag.hasAttributes) === 0) {
    return { link: metadata.subarray(at), attributes: undefined };
  }
  const linkEnd = at + LENGTH_BYTES + metadata.readUInt16LE(at);
  return {
    link: metadata.subarray(at + LENGTH_BYTES, linkEnd),
    attributes: metadata.subarray(linkEnd),
  };
}

/**
 * True if an untrusted value has the form that `metadataOf` returns, so that no function here reads past its
 * end.
 */
export function isMetadata(value: unknown): value is Buffer {
  if (!Buffer.isBuffer(value) || value.length < METADATA_BYTES) return false;
  const at = METADATA_BYTES + (isDevice(value[0]!) ? DEVICE_BYTES : 0);
  if ((value[METADATA_FLAGS_AT]! & RowFlag.hasAttributes) === 0) return value.length >= at;
  if (value.length < at + LENGTH_BYTES) return false;
  const linkEnd = at + LENGTH_BYTES + value.readUInt16LE(at);
  return value.length > linkEnd && checkAttributes(value.subarray(linkEnd));
}

/** Returns a symlink's target from the result of `metadataOf`. */
export function linkTargetOf(metadata: Buffer): Buffer {
  return tailOf(metadata).link;
}

/** Returns the packed attributes from the result of `metadataOf`; undefined if there are none. */
export function attributesOf(metadata: Buffer): Buffer | undefined {
  const hasAny = (metadata[METADATA_FLAGS_AT]! & RowFlag.hasAttributes) !== 0;
  return hasAny ? tailOf(metadata).attributes : undefined;
}

/** True if the content is in the sparse form, by the result of `metadataOf`. */
export function isSparse(metadata: Buffer): boolean {
  return (metadata[METADATA_FLAGS_AT]! & RowFlag.sparse) !== 0;
}

/** Appends the row that `joinRow` returns. It makes no objects, since a restore calls it for each file. */
export function appendRow(
  into: BytesBuilder,
  metadata: Buffer,
  name: Buffer,
  digest?: Uint8Array,
): void {
  const fixedBytes = METADATA_BYTES + (isDevice(metadata[0]!) ? DEVICE_BYTES : 0);
  const hasAttributes = (metadata[METADATA_FLAGS_AT]! & RowFlag.hasAttributes) !== 0;
  const tailAt = fixedBytes + (hasAttributes ? LENGTH_BYTES : 0);
  const tailBytes = Math.max(0, metadata.length - tailAt); // metadata of a damaged catalog may end early
  const linkBytes = hasAttributes ? metadata.readUInt16LE(fixedBytes) : tailBytes;
  const digestBytes = digest === undefined ? 0 : DIGEST_BYTES;
  const rowBytes = ROW_FIXED_BYTES + digestBytes + name.length + tailBytes;
  const { buffer, at } = into.reserve(rowBytes);
  buffer.fill(0, at, at + ROW_FIXED_BYTES);
  metadata.copy(buffer, at + METADATA_FROM, 0, fixedBytes);
  buffer.writeUInt32LE(rowBytes, at + RowOffset.rowBytes);
  buffer.writeUInt16LE(name.length, at + RowOffset.nameBytes);
  buffer.writeUInt16LE(linkBytes, at + RowOffset.linkBytes);
  buffer[at + RowOffset.flags]! &= ~RowFlag.hasDigest;
  if (digest !== undefined) {
    buffer[at + RowOffset.flags]! |= RowFlag.hasDigest;
    buffer.set(digest, at + ROW_FIXED_BYTES);
  }
  const nameAt = at + ROW_FIXED_BYTES + digestBytes;
  name.copy(buffer, nameAt);
  if (tailBytes > 0) metadata.copy(buffer, nameAt + name.length, tailAt);
  into.commit(rowBytes);
}

/** Returns a whole row from metadata, a name and an optional digest; the inverse of `metadataOf`. */
export function joinRow(metadata: Buffer, name: Buffer, digest: Uint8Array | undefined): Buffer {
  const row = new BytesBuilder(0);
  appendRow(row, metadata, name, digest);
  return row.take();
}

/** Returns the size of an entry from its metadata; 0 for a directory, whose size field holds its mount state. */
export function sizeIn(metadata: Buffer): number {
  if (metadata[RowOffset.type - METADATA_FROM] === EntryType.directory) return 0;
  // Without a bigint, which would be garbage for each file.
  const at = RowOffset.sizeBytes - METADATA_FROM;
  return metadata.readUInt32LE(at) + metadata.readUInt32LE(at + 4) * 2 ** 32;
}

/**
 * Byte ranges of the fixed part of a row that are compared. They leave out flags, number of links, birth time and
 * device number.
 */
const COMPARED: readonly [from: number, to: number][] = [
  [RowOffset.type, RowOffset.type + 1],
  [RowOffset.permissions, RowOffset.linkCount],
  [RowOffset.sizeBytes, RowOffset.birthTimeNs],
  [RowOffset.inode, RowOffset.device],
];

/**
 * True if metadata and a row are equal in the ranges of COMPARED, and in link target or device number if the type has
 * one. Attributes are not compared. A change of attributes also changes the change time, and a row of a fresh listing
 * has no attributes yet.
 */
export function sameMetadata(metadata: Buffer, rows: RowReader, at: number): boolean {
  for (const [from, to] of COMPARED) {
    const [start, end] = [from - METADATA_FROM, to - METADATA_FROM];
    if (metadata.compare(rows.rows, at + from, at + to, start, end) !== 0) return false;
  }
  const type = rows.type(at);
  if (type === EntryType.symlink) return linkTargetOf(metadata).equals(rows.linkTarget(at));
  if (!isDevice(type)) return true;
  const device = rows.rows.subarray(at + METADATA_TO, at + ROW_FIXED_BYTES);
  return metadata.subarray(METADATA_BYTES, METADATA_BYTES + DEVICE_BYTES).equals(device);
}

/** True if metadata and a row have the same attributes. */
export function sameAttributes(metadata: Buffer, rows: RowReader, at: number): boolean {
  const [known, fresh] = [attributesOf(metadata), rows.attributes(at)];
  if (known === undefined || fresh === undefined) return known === fresh;
  return known.equals(fresh);
}

const MAX_TYPE = EntryType.blockDevice;

/** Upper 32 bits of the largest integer that a JavaScript number represents exactly. */
const MAX_SAFE_HIGH = 0x1f_ffff;

/** Returns the reason why metadata is malformed; undefined if all functions here can read it safely. */
export function metadataFault(metadata: Buffer): string | undefined {
  const type = metadata[0] ?? 0;
  const at = METADATA_BYTES + (isDevice(type) ? DEVICE_BYTES : 0);
  if (metadata.length < at) return 'is cut off';
  if (type < 1 || type > MAX_TYPE) return 'has an unknown type';
  const flags = metadata[METADATA_FLAGS_AT]!;
  let linkBytes = metadata.length - at;
  if ((flags & RowFlag.hasAttributes) !== 0) {
    if (linkBytes < LENGTH_BYTES) return 'is cut off';
    const attributesAt = at + LENGTH_BYTES + metadata.readUInt16LE(at);
    linkBytes = attributesAt - at - LENGTH_BYTES;
    const isWhole = attributesAt < metadata.length;
    if (!isWhole || !checkAttributes(metadata.subarray(attributesAt))) {
      return 'has malformed attributes';
    }
  }
  const mayLink = type === EntryType.symlink;
  const isUnread = (flags & RowFlag.unreadable) !== 0;
  const isLinkWrong = linkBytes > 0 ? !mayLink : mayLink && !isUnread;
  if (linkBytes > MAX_LINK_BYTES || isLinkWrong) return 'has a wrong link target';
  // The size is checked by halves: one BigInt for each entry of a listing would cost more than the rest of this
  // function.
  const sizeHigh = metadata.readUInt32LE(RowOffset.sizeBytes - METADATA_FROM + 4);
  return sizeHigh > MAX_SAFE_HIGH ? 'has an impossible size' : undefined;
}

/** Returns metadata of an empty file, as a placeholder for metadata that cannot be read. */
export function blankMetadata(): Buffer {
  const metadata = Buffer.alloc(METADATA_BYTES);
  metadata[0] = EntryType.file;
  return metadata;
}
