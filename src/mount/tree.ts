/** A tree of nodes: the top level, or one set. The file system calls it to answer requests. */
import type { Soon } from '../contents/index.js';
import type { HistoryEntry } from '../history/index.js';
import type { Inode } from './inodes.js';
import type { LoadedPage } from './page-cache.js';

/** An entry with all data that a reply about it needs. */
export interface ShownEntry {
  readonly entry: HistoryEntry;
  readonly inode: Inode;
  /** Node of the entry, in two halves; both 0 if the entry is damaged, so that only its name is shown. */
  readonly nodeLow: number;
  readonly nodeHigh: number;
  /** Number of bytes of data of a sparse file. */
  readonly storedBytes: number | undefined;
}

/** Entries of a part of a directory, packed in the layout of the kernel. */
export interface PackedEntries {
  readonly packed: Buffer;
  /** Offset in `packed` of each entry, and the end of the last one. */
  readonly starts: Uint32Array;
}

/** A part of a directory. */
export interface PackedPage {
  /** Position in the directory of the first entry of this page; -2 if that is `.`. */
  readonly first: number;
  /** True if no entry follows, and none can be added later. */
  readonly isLast?: boolean;
  /**
   * Returns the entries with all attributes that `stat` shows (struct fuse_direntplus). They are packed at the first
   * call.
   */
  plus(): PackedEntries;
  /** Returns the entries with only their names (struct fuse_dirent). */
  plain(): PackedEntries;
}

export interface Tree {
  /** Number of seconds for which the kernel may keep an answer. */
  readonly validSeconds: number;
  /** True if a node of a file always has the same content. */
  readonly isFixed?: boolean;
  /** Number of references that the kernel holds to nodes of this tree. */
  lookups: number;
  /** Returns the entry of a directory; if `entry` is at least 0, that entry of the directory. Throws FuseError. */
  entryAt(directory: number, entry: number): Soon<ShownEntry>;
  /** Returns the entry with a name; undefined if there is none. Throws FuseError. */
  lookup(directory: number, name: Buffer): Soon<ShownEntry | undefined>;
  /**
   * Returns the page that has a position, for its entries with or without attributes; undefined after the last entry.
   * Throws FuseError.
   */
  page(directory: number, position: number, isPlus: boolean): Soon<PackedPage | undefined>;
  /**
   * Returns the page that contains a position, for data that is kept beside its entries; undefined in a tree without
   * files.
   */
  pageOf?(directory: number, position: number): Soon<LoadedPage>;
  /** Returns the page that contains a position, if it is loaded. */
  loadedPage?(directory: number, position: number): LoadedPage | undefined;
  /**
   * True if the whole listing of a directory would be opened, and take much memory. Such a directory is not loaded before
   * it is requested.
   */
  isLarge?(directory: number): boolean;
  /**
   * Returns the parent of a directory, and the position after the directory in it; undefined for the top directory.
   */
  above?(directory: number): { readonly directory: number; readonly position: number } | undefined;
  /** Returns the path of a node below the mount point, for the log. */
  pathOf(directory: number, entry: number): Promise<Buffer>;
}
