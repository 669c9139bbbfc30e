/** Writes what `stat` shows of an entry, as the kernel takes it. */
import type { HistoryEntry } from '../history/index.js';
import { EntryType, METADATA_FLAGS_AT, METADATA_FROM, RowFlag, RowOffset } from '../model/index.js';
import { ATTRIBUTE_BYTES } from './protocol.js';

/** Format bits of the mode by type, and the types of directory entries. */
const FORMATS: Readonly<Record<number, number>> = {
  [EntryType.file]: 0o100_000,
  [EntryType.directory]: 0o040_000,
  [EntryType.symlink]: 0o120_000,
  [EntryType.fifo]: 0o010_000,
  [EntryType.socket]: 0o140_000,
  [EntryType.characterDevice]: 0o020_000,
  [EntryType.blockDevice]: 0o060_000,
};
const NS_PER_SECOND = 1_000_000_000n;
const BLOCK_BYTES = 512;
const IO_BYTES = 4096;
const DIRECTORY_BYTES = 4096;
const TWO_32 = 0x1_0000_0000;
const TWO_16 = 0x1_0000;
const NS = 1_000_000_000;
/** Upper half of a time close to the largest of 64 bits, which may stand for a later one (see `isTimeBeyond`). */
const NEAR_LIMIT_HIGH = 0x7fff_ffff;

/** An inode number, in two halves. */
export interface Inode {
  readonly low: number;
  readonly high: number;
}

/** The type of a directory entry (DT_…), which is the upper part of its mode. */
export function direntType(type: number): number {
  return (FORMATS[type] ?? 0) >>> 12;
}

function isDevice(type: number): boolean {
  return type === EntryType.characterDevice || type === EntryType.blockDevice;
}

/** Bytes that `stat` shows as the size of an entry. */
function shownSize(entry: HistoryEntry): number {
  if (entry.type === EntryType.directory) return DIRECTORY_BYTES;
  return entry.type === EntryType.symlink ? (entry.linkTarget?.length ?? 0) : entry.sizeBytes;
}

/** Writes 88 bytes. `storedBytes`: bytes of data of a sparse file; undefined for other entries. */
export function writeAttributes(
  target: Buffer,
  at: number,
  entry: HistoryEntry,
  inode: Inode,
  storedBytes: number | undefined,
): void {
  const { type } = entry;
  target.fill(0, at, at + ATTRIBUTE_BYTES);
  target.writeUInt32LE(inode.low, at);
  target.writeUInt32LE(inode.high, at + 4);
  const sizeBytes = shownSize(entry);
  writeNumber(target, at + 8, sizeBytes);
  const usedBytes = type === EntryType.file ? (storedBytes ?? sizeBytes) : 0;
  writeNumber(target, at + 16, Math.ceil(usedBytes / BLOCK_BYTES));
  const { metadata } = entry;
  writeTime(target, at + 24, at + 48, metadata, RowOffset.mtimeNs, entry);
  writeTime(target, at + 32, at + 52, metadata, RowOffset.mtimeNs, entry);
  writeTime(target, at + 40, at + 56, metadata, RowOffset.ctimeNs, undefined);
  target.writeUInt32LE((FORMATS[type] ?? 0) | entry.permissions, at + 60);
  target.writeUInt32LE(Math.max(1, entry.linkCount), at + 64);
  target.writeUInt32LE(entry.uid, at + 68);
  target.writeUInt32LE(entry.gid, at + 72);
  // The kernel's encoding in 32 bits is the lower half of the C library's in 64.
  if (isDevice(type)) target.writeUInt32LE(Number(BigInt.asUintN(32, entry.device)), at + 76);
  target.writeUInt32LE(IO_BYTES, at + 80);
}

export function writeNumber(target: Buffer, at: number, value: number): void {
  target.writeUInt32LE(value % TWO_32, at);
  target.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

/** `beyond` is given if the time may be among the attributes, because 64 bits of nanoseconds cannot represent it. */
function writeTime(
  target: Buffer,
  secondsAt: number,
  restAt: number,
  metadata: Buffer,
  field: number,
  beyond: HistoryEntry | undefined,
): void {
  const at = field - METADATA_FROM;
  const [low, high] = [metadata.readUInt32LE(at), metadata.readInt32LE(at + 4)];
  const hasAttributes = (metadata[METADATA_FLAGS_AT]! & RowFlag.hasAttributes) !== 0;
  if (high >= 0 && high < NEAR_LIMIT_HIGH && !hasAttributes) {
    // Long division in numbers: a BigInt for each time would cost more than the rest of the entry.
    const first = Math.floor(high / NS);
    const middle = (high - first * NS) * TWO_16 + (low >>> 16);
    const second = Math.floor(middle / NS);
    const last = (middle - second * NS) * TWO_16 + (low & 0xffff);
    const third = Math.floor(last / NS);
    writeNumber(target, secondsAt, first * TWO_32 + second * TWO_16 + third);
    target.writeUInt32LE(last - third * NS, restAt);
    return;
  }
  const timeNs = beyond?.mtimeNs ?? metadata.readBigInt64LE(at);
  const rest = ((timeNs % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
  target.writeBigInt64LE((timeNs - rest) / NS_PER_SECOND, secondsAt);
  target.writeUInt32LE(Number(rest), restAt);
}

/** Returns the attributes of an entry that is not sparse. */
export function attributeBytes(entry: HistoryEntry): Buffer {
  const bytes = Buffer.alloc(ATTRIBUTE_BYTES);
  writeAttributes(bytes, 0, entry, { low: 1, high: 0 }, undefined);
  return bytes;
}
