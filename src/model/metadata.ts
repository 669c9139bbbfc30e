/** What the catalog keeps of a row: all but lengths, name and digest, as few bytes as it takes. */
import type { BytesBuilder } from './bytes.js';
import {
  DIGEST_BYTES,
  EntryType,
  ROW_FIXED_BYTES,
  RowFlag,
  RowOffset,
  type RowReader,
} from './row.js';

/** Where the metadata that the catalog keeps begins in a row: lengths are left out. */
export const METADATA_FROM = RowOffset.type;
const METADATA_TO = RowOffset.device;
const METADATA_BYTES = METADATA_TO - METADATA_FROM;
/** Where metadata has the flags of a row. */
export const METADATA_FLAGS_AT: number = RowOffset.flags - METADATA_FROM;
const DEVICE_BYTES = ROW_FIXED_BYTES - METADATA_TO;
const LENGTH_BYTES = 2;

function isDevice(type: number): boolean {
  return type === EntryType.characterDevice || type === EntryType.blockDevice;
}

/**
 * What the catalog keeps of a row: its fixed part from the type on (the device number only for
 * device nodes), and a symlink's target behind it. A row with attributes has the length of the target
 * (u16), the target and the attributes there. A view where that is possible.
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

/** Where what has no fixed length lies in metadata. */
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

/** A symlink's target, from what `metadataOf` gave. */
export function linkTargetOf(metadata: Buffer): Buffer {
  return tailOf(metadata).link;
}

/** Packed attributes, from what `metadataOf` gave. */
export function attributesOf(metadata: Buffer): Buffer | undefined {
  return tailOf(metadata).attributes;
}

/** Whether the content is in the sparse form, from what `metadataOf` gave. */
export function isSparse(metadata: Buffer): boolean {
  return (metadata[METADATA_FLAGS_AT]! & RowFlag.sparse) !== 0;
}

/** Appends the row that `joinRow` would make of these, without a digest. */
export function appendRow(into: BytesBuilder, metadata: Buffer, name: Buffer): void {
  const fixedBytes = METADATA_BYTES + (isDevice(metadata[0]!) ? DEVICE_BYTES : 0);
  const hasAttributes = (metadata[METADATA_FLAGS_AT]! & RowFlag.hasAttributes) !== 0;
  const tailAt = fixedBytes + (hasAttributes ? LENGTH_BYTES : 0);
  const linkBytes = hasAttributes ? metadata.readUInt16LE(fixedBytes) : metadata.length - tailAt;
  const rowBytes = ROW_FIXED_BYTES + name.length + metadata.length - tailAt;
  const { buffer, at } = into.reserve(rowBytes);
  buffer.fill(0, at, at + ROW_FIXED_BYTES);
  metadata.copy(buffer, at + METADATA_FROM, 0, fixedBytes);
  buffer.writeUInt32LE(rowBytes, at + RowOffset.rowBytes);
  buffer.writeUInt16LE(name.length, at + RowOffset.nameBytes);
  buffer.writeUInt16LE(linkBytes, at + RowOffset.linkBytes);
  buffer[at + RowOffset.flags]! &= ~RowFlag.hasDigest;
  name.copy(buffer, at + ROW_FIXED_BYTES);
  metadata.copy(buffer, at + ROW_FIXED_BYTES + name.length, tailAt);
  into.commit(rowBytes);
}

/** The inverse of `metadataOf`: a whole row, with a name and maybe a digest. */
export function joinRow(metadata: Buffer, name: Buffer, digest: Uint8Array | undefined): Buffer {
  const digestBytes = digest === undefined ? 0 : DIGEST_BYTES;
  const { link, attributes } = tailOf(metadata);
  const fixedBytes = METADATA_BYTES + (isDevice(metadata[0]!) ? DEVICE_BYTES : 0);
  const row = Buffer.alloc(
    ROW_FIXED_BYTES + digestBytes + name.length + link.length + (attributes?.length ?? 0),
  );
  metadata.copy(row, METADATA_FROM, 0, fixedBytes);
  row.writeUInt32LE(row.length, RowOffset.rowBytes);
  row.writeUInt16LE(name.length, RowOffset.nameBytes);
  row.writeUInt16LE(link.length, RowOffset.linkBytes);
  const flags = row[RowOffset.flags]! & ~RowFlag.hasDigest;
  row[RowOffset.flags] = digest === undefined ? flags : flags | RowFlag.hasDigest;
  if (digest !== undefined) row.set(digest, ROW_FIXED_BYTES);
  let at = ROW_FIXED_BYTES + digestBytes;
  at += name.copy(row, at);
  at += link.copy(row, at);
  attributes?.copy(row, at);
  return row;
}

/** Parts of a packed row that tell whether two versions differ: all but flags, links and birth time. */
const COMPARED: readonly [from: number, to: number][] = [
  [RowOffset.type, RowOffset.type + 1],
  [RowOffset.permissions, RowOffset.linkCount],
  [RowOffset.sizeBytes, RowOffset.birthTimeNs],
  [RowOffset.inode, RowOffset.device],
];

/**
 * Whether metadata and a row say the same, attributes aside: a change of those shows in the time of
 * the change, and a row of a listing does not have them yet.
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

/** Whether metadata and a row have the same attributes. */
export function sameAttributes(metadata: Buffer, rows: RowReader, at: number): boolean {
  const [known, fresh] = [attributesOf(metadata), rows.attributes(at)];
  if (known === undefined || fresh === undefined) return known === fresh;
  return known.equals(fresh);
}
