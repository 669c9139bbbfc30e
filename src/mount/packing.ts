/** Packs entries for the kernel: single ones, and pages of directories. The addon writes their bytes. */
import { virtualDirectory } from '../history/index.js';
import { NO_BYTES } from '../model/index.js';
import type { FuseCalls } from '../system/index.js';
import type { Inode } from './inodes.js';
import { DIRENT_BYTES, ENTRY_BYTES } from './protocol.js';
import type { PackedEntries, PackedPage, ShownEntry } from './tree.js';

/** Number of positions before the first entry: positions 1 and 2 of a directory are `.` and `..`. */
export const DOTS = 2;
/** Inodes of a directory and of its parent, for `.` and `..`. */
export type Dots = readonly [Inode, Inode];

const DOT_ENTRIES = ['.', '..'].map((name) => virtualDirectory(Buffer.from(name), 0));
/** Maximum number of bytes of a dirent besides its name: with its padding. */
const MAX_DIRENT_BYTES = DIRENT_BYTES + 7;

/**
 * Packs an entry from an offset of the memory on, with the attributes that `stat` shows if there are `validSeconds`.
 * `offset` is that of the next entry in the directory. Returns the end of the packed entry.
 */
export function packEntry(
  native: FuseCalls,
  target: Buffer,
  at: number,
  { entry, inode, nodeLow, nodeHigh, storedBytes }: ShownEntry,
  offset: number,
  validSeconds?: number,
): number {
  const { set, directory, bytes } = inode;
  return native.packEntry(
    target,
    at,
    entry.name,
    entry.damage === undefined ? entry.metadata : NO_BYTES,
    nodeLow,
    nodeHigh,
    set,
    directory,
    bytes,
    offset,
    storedBytes,
    validSeconds,
  );
}

/**
 * Returns a page with these entries. The first one has the position `first` in its directory. The first page of a
 * directory begins with `.` and `..`.
 */
export function packPage(
  native: FuseCalls,
  page: { readonly entries: readonly ShownEntry[]; readonly first: number },
  dots: Dots,
  validSeconds: number,
): PackedPage {
  const isFirst = page.first === 0;
  const first = isFirst ? -DOTS : page.first;
  const entries = isFirst ? [...dots.map(shownDot), ...page.entries] : page.entries;
  const pack = (seconds?: number): PackedEntries => {
    const entryBytes = MAX_DIRENT_BYTES + (seconds === undefined ? 0 : ENTRY_BYTES);
    const room = Buffer.allocUnsafeSlow(
      entries.reduce((sum, { entry }) => sum + entry.name.length + entryBytes, 0),
    );
    const starts = new Uint32Array(entries.length + 1);
    entries.forEach((shown, index) => {
      const offset = first + index + 1 + DOTS;
      starts[index + 1] = packEntry(native, room, starts[index]!, shown, offset, seconds);
    });
    return { packed: room.subarray(0, starts[entries.length]), starts };
  };
  let [plus, plain]: (PackedEntries | undefined)[] = [];
  return { first, plus: () => (plus ??= pack(validSeconds)), plain: () => (plain ??= pack()) };
}

/** Returns `.` or `..`. The kernel ignores the nodes of these two names. */
function shownDot(inode: Inode, index: number): ShownEntry {
  const entry = DOT_ENTRIES[index]!;
  return { entry, inode, nodeLow: 0, nodeHigh: 0, storedBytes: undefined };
}
