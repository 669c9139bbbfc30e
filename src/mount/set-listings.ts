/**
 * Returns listings of the directories of one set that the addon has packed, and finds the directories that a walk
 * probably lists next.
 */
import type { BackupSet, History } from '../history/index.js';
import type { DirectoryTable } from './directory-table.js';
import {
  type ChildNode,
  fetchPages,
  type ListedChild,
  type ListedDirectory,
  type ListedNode,
  type PackedListing,
  type PackedListings,
} from './packed-listings.js';
import { type Inode, inodeOfDirectory, inodeOfSet } from './inodes.js';
import { nodeHigh, nodeLow } from './node-ids.js';
import { type Dots, DOTS } from './packing.js';
import { type LoadedPage, PAGE_ENTRIES, type PageCache } from './page-cache.js';
import { childrenOf } from './page-search.js';
import type { PageStarts } from './page-starts.js';
import type { ListedTree, ReadyPages } from './ready-pages.js';
import { NO_BYTES } from '../model/index.js';
import type { FuseCalls } from '../system/index.js';
import type { DirectoriesAhead } from './directories-ahead.js';

/** Parts that the trees of all sets share. */
export interface SetTreeOptions {
  readonly native: FuseCalls;
  readonly history: History;
  readonly set: BackupSet;
  /** Number of the tree in node ids. */
  readonly tree: number;
  readonly cache: PageCache;
  readonly packed: PackedListings;
  readonly ready: ReadyPages;
  readonly ahead: DirectoriesAhead;
}

/** Maximum number of entries that are fetched for a ready reply: more than it has room for. */
const READY_ENTRIES = 101;

/** Maximum number of large directories that are remembered. */
const MAX_LARGE = 1024;

/** The tree whose directories are listed. */
interface ListedSet extends ListedTree {
  readonly set: BackupSet;
  readonly validSeconds: number;
  readonly isGone: boolean;
  /** Key of a page of a directory. */
  keyOf(directory: number, page: number): number;
}

interface SetListingsOptions extends SetTreeOptions {
  readonly owner: ListedSet;
  readonly table: DirectoryTable;
  readonly starts: PageStarts;
  /** True if a directory has roots in it, or is in no backup. */
  readonly isAroundRoots: (directory: number) => boolean;
}

/** Unread directories that a walk probably lists next. */
export interface UnreadDirectories {
  readonly directories: readonly number[];
  /** Number of directories that the walk lists before the first of these. */
  readonly distance: number;
}

export class SetListings {
  /** Directories that are not loaded before they are requested. */
  private readonly large = new Set<number>();

  constructor(private readonly options: SetListingsOptions) {}

  private get history(): History {
    return this.options.history;
  }

  /** Returns the listing of a page; undefined if the page must be loaded entry by entry. */
  listing(directory: number, number: number, isPlus: boolean): PackedListing | undefined {
    const { packed, starts, owner } = this.options;
    const start = starts.of(directory, number);
    const listed = start === undefined ? undefined : this.listed(directory, number, start, isPlus);
    if (listed === undefined) return undefined;
    const key = owner.keyOf(directory, number);
    const known = packed.get(key, isPlus);
    if (known !== undefined) return known;
    const { history } = this;
    const listing = packed.make(key, history, listed, (child) => this.childNode(directory, child));
    if (listing?.isLast === false) starts.note(directory, number + 1, listing.lastName);
    return listing;
  }

  /**
   * Makes replies about directories ready, if the addon can pack them. Returns the other directories, which must be
   * loaded in another way.
   */
  makeReady(directories: readonly number[]): number[] {
    const { packed, owner } = this.options;
    const [listed, left]: [ListedDirectory[], number[]] = [[], []];
    for (const directory of directories) {
      const known = this.listed(directory, 0, NO_BYTES, true);
      if (known === undefined) left.push(directory);
      else listed.push(known);
    }
    const pages =
      listed.length === 0
        ? []
        : fetchPages(this.history, {
            directories: listed.map(({ id }) => id),
            set: owner.set.set,
            after: NO_BYTES,
            limit: READY_ENTRIES,
          });
    this.options.ready.answer();
    listed.forEach((one, index) => {
      const page = pages[index];
      const { number: directory } = one;
      const room = page === undefined ? undefined : this.options.ready.room();
      const made =
        page === undefined || room === undefined
          ? undefined
          : packed.pack(room, page, one, (child) => this.childNode(directory, child));
      if (made === undefined || made.entries >= READY_ENTRIES) {
        left.push(directory);
        return;
      }
      packed.note(owner.keyOf(directory, 0), made.children);
      this.offer(directory, made);
      this.options.ready.answer();
    });
    return left;
  }

  private offer(directory: number, made: { bytes: number; entries: number }): void {
    const { tree, ready, owner } = this.options;
    const place = { tree, directory, entry: -1 };
    // Most directories have no attributes, which this node shows. One that has some is requested by another node.
    const node = { nodeLow: nodeLow(place), nodeHigh: nodeHigh(place, true) };
    ready.offer({ tree: owner, directory, ...node }, made);
  }

  /** Returns the inodes of a directory and of its parent. */
  dots(directory: number): Dots {
    const own = this.inode(directory);
    if (directory === 0) return [own, inodeOfDirectory(0, 0)];
    return [own, this.inode(this.options.table.parent(directory))];
  }

  /** Returns the inode of a directory. */
  inode(directory: number): Inode {
    const { owner, table } = this.options;
    const { set } = owner.set;
    return directory === 0 ? inodeOfSet(set) : inodeOfDirectory(set, table.id(directory));
  }

  /** Returns the data that the addon needs to pack a page; undefined if the page must be loaded entry by entry. */
  private listed(
    directory: number,
    number: number,
    start: Buffer,
    isPlus: boolean,
  ): ListedDirectory | undefined {
    const { tree, owner, table } = this.options;
    const { validSeconds } = owner;
    const { state, set } = owner.set;
    const isUsual = !owner.isGone && state === 'complete' && directory < table.count;
    if (!isUsual || this.options.isAroundRoots(directory)) return undefined;
    const first = number === 0 ? -DOTS : number * PAGE_ENTRIES;
    const page = { first, after: start, device: table.device(directory), isPlus, validSeconds };
    const [id, dots] = [table.id(directory), this.dots(directory)];
    return { tree, set, number: directory, id, dots, ...page };
  }

  /** Returns the node of a directory without attributes; undefined if the directory contains itself. */
  private childNode(
    directory: number,
    { position, id, isOnOtherDevice }: ListedChild,
  ): ChildNode | undefined {
    const { table, tree } = this.options;
    if (table.isWithin(directory, id)) return undefined;
    const device = isOnOtherDevice ? `directory ${id}` : table.device(directory);
    const number = table.find(directory, position) ?? table.add(directory, position, id, device);
    const place = { tree, directory: number, entry: -1 };
    return { number, nodeLow: nodeLow(place), nodeHigh: nodeHigh(place, true) };
  }

  /** Records that a directory is loaded in another way, so that it counts as read. */
  noteOther(directory: number): void {
    const { packed, owner } = this.options;
    const key = owner.keyOf(directory, 0);
    if (packed.childrenIn(key) === undefined) packed.note(key, []);
  }

  /** True if the whole listing of a directory would be opened, and take much memory. */
  isLarge(directory: number): boolean {
    if (this.large.has(directory)) return true;
    const { history, large } = this;
    const { owner, table } = this.options;
    if (this.isRead(directory)) return false;
    if (history.isLarge?.(table.id(directory), owner.set.set) !== true) return false;
    if (large.size === MAX_LARGE) large.clear(); // they count as read from now on
    large.add(directory);
    return true;
  }

  /** Forgets all directories, since others get their numbers. */
  clear(): void {
    this.large.clear();
  }

  /** Remembers the directories of a page that was loaded entry by entry. */
  noteLoaded(directory: number, page: LoadedPage): void {
    const { packed, owner } = this.options;
    const key = owner.keyOf(directory, Math.floor(page.first / PAGE_ENTRIES));
    packed.note(key, childrenOf(page));
  }

  /**
   * Returns at most `limit` unread directories among the next `window` directories of a walk. A walk lists each
   * directory before its contents.
   */
  unreadAfter(directory: number, window: number, limit: number): UnreadDirectories {
    const { table } = this.options;
    const directories: number[] = [];
    let distance = window;
    let visited = 0;
    const visit = (parent: number, after: number): void => {
      for (const { number, position } of this.childrenIn(parent, after)) {
        if (position <= after) continue;
        if (visited === window || directories.length === limit) return;
        if (!this.isRead(number)) {
          distance = Math.min(distance, visited);
          directories.push(number);
        }
        visited += 1;
        visit(number, -1);
      }
    };
    if (directory >= table.count) return { directories, distance };
    visit(directory, -1);
    for (let at = directory; at !== 0; at = table.parent(at)) {
      if (visited === window || directories.length === limit) break;
      visit(table.parent(at), table.place(at));
    }
    return { directories, distance };
  }

  private isRead(directory: number): boolean {
    const { packed, owner } = this.options;
    return packed.childrenIn(owner.keyOf(directory, 0)) !== undefined;
  }

  /** Returns the directories in the page that contains the next position. */
  private childrenIn(directory: number, position: number): readonly ListedNode[] {
    const { packed, owner } = this.options;
    const key = owner.keyOf(directory, Math.floor((position + 1) / PAGE_ENTRIES));
    const noted = packed.childrenIn(key);
    if (noted === undefined) return [];
    if (position >= 0) packed.note(key, noted); // a walk comes back to it
    return noted;
  }
}
