/** Packs entries for the kernel: single ones, and pages of directories. */
import { EntryType } from '../model/index.js';
import { direntType, type Inode, writeAttributes } from './attributes.js';
import { ATTRIBUTE_BYTES, DIRENT_BYTES, ENTRY_BYTES } from './protocol.js';
import type { PackedEntries, PackedPage, ShownEntry } from './tree.js';

/** Number of positions before the first entry: positions 1 and 2 of a directory are `.` and `..`. */
export const DOTS = 2;
/** The names `.` and `..` as words, in little-endian order. */
const DOT_NAMES = [0x2e, 0x2e2e];
const ENTRY_WORDS = ENTRY_BYTES >>> 2;
/** Number of words for a name of up to eight bytes, with the header before it. */
const DOT_WORDS = (DIRENT_BYTES + 8) >>> 2;

/** Writes a struct fuse_entry_out into memory that must be zero. */
export function writeEntry(
  target: Uint32Array,
  at: number,
  shown: ShownEntry,
  validSeconds: number,
): void {
  const word = at >>> 2;
  target[word] = shown.nodeLow;
  target[word + 1] = shown.nodeHigh;
  target[word + 4] = validSeconds;
  target[word + 6] = validSeconds;
  const { entry, inode, storedBytes } = shown;
  writeAttributes(target, at + ENTRY_BYTES - ATTRIBUTE_BYTES, entry, inode, storedBytes);
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Returns a page with these entries. The first entry has the position `first` in its directory. */
export function packPage(
  entries: readonly ShownEntry[],
  first: number,
  validSeconds: number,
): PackedPage {
  let [plus, plain]: (PackedEntries | undefined)[] = [];
  return {
    first,
    plus: () => (plus ??= packEntries(entries, first, validSeconds)),
    plain: () => (plain ??= packEntries(entries, first, undefined)),
  };
}

/** Packs entries; without `validSeconds`, only their names. */
function packEntries(
  entries: readonly ShownEntry[],
  first: number,
  validSeconds: number | undefined,
): PackedEntries {
  const direntAt = validSeconds === undefined ? 0 : ENTRY_BYTES;
  const starts = new Uint32Array(entries.length + 1);
  let at = 0;
  entries.forEach(({ entry }, index) => {
    starts[index] = at;
    at += padded(direntAt + DIRENT_BYTES + entry.name.length);
  });
  starts[entries.length] = at;
  const packed = Buffer.alloc(at);
  const words = new Uint32Array(packed.buffer, packed.byteOffset, at >>> 2);
  entries.forEach((shown, index) => {
    const { entry, inode } = shown;
    const start = starts[index]!;
    const isShown = shown.nodeLow !== 0 || shown.nodeHigh !== 0;
    if (validSeconds !== undefined && isShown) writeEntry(words, start, shown, validSeconds);
    const word = (start + direntAt) >>> 2;
    words[word] = inode.low;
    words[word + 1] = inode.high;
    words[word + 2] = first + index + 1 + DOTS;
    words[word + 4] = entry.name.length;
    words[word + 5] = entry.damage === undefined ? direntType(entry.type) : 0;
    packed.set(entry.name, start + direntAt + DIRENT_BYTES);
  });
  return { packed, starts };
}

/**
 * Writes `.` and `..` from an offset on, and returns their end. There is room for nodes, but the kernel ignores the
 * nodes of these two names. `from` is a multiple of 4.
 */
export function writeDots(
  target: Uint32Array,
  from: number,
  inodes: readonly [Inode, Inode],
  offset: number,
  isPlus: boolean,
): number {
  let at = from >>> 2;
  for (let index = offset; index < DOTS; index += 1) {
    const inode = inodes[index]!;
    const dirent = at + (isPlus ? ENTRY_WORDS : 0);
    const end = dirent + DOT_WORDS;
    target.fill(0, at, end);
    target[dirent] = inode.low;
    target[dirent + 1] = inode.high;
    target[dirent + 2] = index + 1;
    target[dirent + 4] = index + 1; // the length of the name
    target[dirent + 5] = direntType(EntryType.directory);
    target[dirent + 6] = DOT_NAMES[index]!;
    at = end;
  }
  return at * 4;
}
