/** Writes the attributes of an entry that `stat` shows, in the layout of the kernel. */
import type { HistoryEntry } from '../history/index.js';
import {
  EntryType,
  isDevice,
  METADATA_FLAGS_AT,
  METADATA_FROM,
  RowFlag,
  RowOffset,
  SECOND_NS,
} from '../model/index.js';

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
const LOW_WORD = 0xffff_ffffn;
const BLOCK_BYTES = 512;
const IO_BYTES = 4096;
const DIRECTORY_BYTES = 4096;
const TWO_32 = 0x1_0000_0000;
const TWO_16 = 0x1_0000;
const NS = 1_000_000_000;
/** Upper half of a time close to the largest 64-bit time, which may stand for a later time (see `isTimeBeyond`). */
const NEAR_LIMIT_HIGH = 0x7fff_ffff;

/** An inode number, in two halves. */
export interface Inode {
  readonly low: number;
  readonly high: number;
}

/** Returns the type of a directory entry (DT_…), which is the upper part of its mode. */
export function direntType(type: number): number {
  return (FORMATS[type] ?? 0) >>> 12;
}

/** Returns the size that `stat` shows for an entry. */
function shownSize(entry: HistoryEntry): number {
  if (entry.type === EntryType.directory) return DIRECTORY_BYTES;
  return entry.type === EntryType.symlink ? (entry.linkTarget?.length ?? 0) : entry.sizeBytes;
}

/**
 * Writes the attributes of an entry: 88 bytes, at a multiple of 4, into memory that must be zero. `storedBytes`: bytes
 * of data of a sparse file; undefined for other entries.
 */
export function writeAttributes(
  target: Uint32Array,
  at: number,
  entry: HistoryEntry,
  inode: Inode,
  storedBytes: number | undefined,
): void {
  const { type } = entry;
  const word = at >>> 2;
  target[word] = inode.low;
  target[word + 1] = inode.high;
  const sizeBytes = shownSize(entry);
  writeNumber(target, word + 2, sizeBytes);
  const usedBytes = type === EntryType.file ? (storedBytes ?? sizeBytes) : 0;
  writeNumber(target, word + 4, Math.ceil(usedBytes / BLOCK_BYTES));
  const { metadata } = entry;
  writeTime(target, word + 8, word + 13, metadata, RowOffset.mtimeNs, entry);
  // The time of the last read is not kept: it is that of the last change.
  target[word + 6] = target[word + 8]!;
  target[word + 7] = target[word + 9]!;
  target[word + 12] = target[word + 13]!;
  writeTime(target, word + 10, word + 14, metadata, RowOffset.ctimeNs, undefined);
  target[word + 15] = (FORMATS[type] ?? 0) | entry.permissions;
  target[word + 16] = Math.max(1, entry.linkCount);
  target[word + 17] = entry.uid;
  target[word + 18] = entry.gid;
  // The kernel's encoding in 32 bits is the lower half of the C library's in 64.
  if (isDevice(type)) target[word + 19] = Number(BigInt.asUintN(32, entry.device));
  target[word + 20] = IO_BYTES;
}

/** Writes a number into two words. */
export function writeNumber(target: Uint32Array, word: number, value: number): void {
  target[word] = value % TWO_32;
  target[word + 1] = Math.floor(value / TWO_32);
}

/**
 * Writes a time. `beyond` is given if the exact time may be among the attributes, because 64 bits of nanoseconds
 * cannot represent it.
 */
function writeTime(
  target: Uint32Array,
  secondsWord: number,
  restWord: number,
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
    writeNumber(target, secondsWord, first * TWO_32 + second * TWO_16 + third);
    target[restWord] = last - third * NS;
    return;
  }
  const timeNs = beyond?.mtimeNs ?? metadata.readBigInt64LE(at);
  const rest = ((timeNs % SECOND_NS) + SECOND_NS) % SECOND_NS;
  const seconds = BigInt.asUintN(64, (timeNs - rest) / SECOND_NS);
  target[secondsWord] = Number(seconds & LOW_WORD);
  target[secondsWord + 1] = Number(seconds >> 32n);
  target[restWord] = Number(rest);
}
