/** Packs what the kernel is told about entries: single ones, and pages of directories. */
import { direntType, writeAttributes, writeNumber } from './attributes.js';
import { ATTRIBUTE_BYTES, DIRENT_BYTES, ENTRY_BYTES } from './protocol.js';
import type { PackedPage, ShownEntry } from './tree.js';

/** Positions 1 and 2 of a directory are `.` and `..`. */
export const DOTS = 2;
const NAME_AT = ENTRY_BYTES + DIRENT_BYTES;

/** Writes a struct fuse_entry_out. Without a node, only zeros. */
export function writeEntry(
  target: Buffer,
  at: number,
  shown: ShownEntry,
  validSeconds: number,
): void {
  target.fill(0, at, at + ENTRY_BYTES - ATTRIBUTE_BYTES);
  target.writeUInt32LE(shown.nodeLow, at);
  target.writeUInt32LE(shown.nodeHigh, at + 4);
  target.writeUInt32LE(validSeconds, at + 16);
  target.writeUInt32LE(validSeconds, at + 24);
  const { entry, inode, storedBytes } = shown;
  writeAttributes(target, at + ENTRY_BYTES - ATTRIBUTE_BYTES, entry, inode, storedBytes);
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Packs entries, the first of which is at `first` in its directory. */
export function packPage(
  entries: readonly ShownEntry[],
  first: number,
  isLast: boolean,
  validSeconds: number,
): PackedPage {
  let bytes = 0;
  for (const { entry } of entries) bytes += padded(NAME_AT + entry.name.length);
  const packed = Buffer.allocUnsafeSlow(bytes);
  const starts = new Uint32Array(entries.length + 1);
  let at = 0;
  entries.forEach((shown, index) => {
    const { entry, inode } = shown;
    const { name } = entry;
    starts[index] = at;
    if (shown.nodeLow === 0 && shown.nodeHigh === 0) packed.fill(0, at, at + ENTRY_BYTES);
    else writeEntry(packed, at, shown, validSeconds);
    const isDamaged = entry.damage !== undefined;
    writeDirent(packed, at + ENTRY_BYTES, {
      inode,
      offset: first + index + 1 + DOTS,
      type: isDamaged ? 0 : direntType(entry.type),
      name,
    });
    at += padded(NAME_AT + name.length);
  });
  starts[entries.length] = at;
  return { first, packed, starts, isLast };
}

interface Dirent {
  readonly inode: ShownEntry['inode'];
  /** The position after this entry. */
  readonly offset: number;
  readonly type: number;
  readonly name: Buffer;
}

/** Writes a struct fuse_dirent with its name; returns its length. */
export function writeDirent(target: Buffer, at: number, dirent: Dirent): number {
  const { inode, name, offset, type } = dirent;
  target.writeUInt32LE(inode.low, at);
  target.writeUInt32LE(inode.high, at + 4);
  writeNumber(target, at + 8, offset);
  target.writeUInt32LE(name.length, at + 16);
  target.writeUInt32LE(type, at + 20);
  name.copy(target, at + DIRENT_BYTES);
  const bytes = DIRENT_BYTES + name.length;
  target.fill(0, at + bytes, at + padded(bytes));
  return padded(bytes);
}

/** Writes `.` or `..` with room for a node that the kernel does not take from it; returns the length. */
export function writeDot(
  target: Buffer,
  at: number,
  dirent: Omit<Dirent, 'type'>,
  isPlus: boolean,
): number {
  if (isPlus) target.fill(0, at, at + ENTRY_BYTES);
  const from = isPlus ? ENTRY_BYTES : 0;
  return from + writeDirent(target, at + from, { ...dirent, type: 4 });
}
