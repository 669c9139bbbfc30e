/**
 * The tree of one set. Its directories get numbers when they are first used, and their pages are read from the history
 * when needed. A complete set never changes, so a position in a directory always belongs to the same entry.
 */
import { after, type Soon } from '../contents/index.js';
import {
  type BackupSet,
  damagedEntry,
  entriesAround,
  type History,
  type HistoryEntry,
  type RootNode,
  rootsOf,
  virtualDirectory,
} from '../history/index.js';
import { displayName, EntryType, isEntryName, joinPath, NO_BYTES, SLASH } from '../model/index.js';
import { deviceIn } from '../restore/index.js';
import { DirectoryTable } from './directory-table.js';
import { inodeOf } from './inodes.js';
import { MAX_ENTRIES, nodeHigh, nodeLow } from './node-ids.js';
import { packPage } from './packing.js';
import { type LoadedPage, PAGE_ENTRIES } from './page-cache.js';
import { PageStarts } from './page-starts.js';
import { foundIn, storedSizes } from './page-search.js';
import { FOREVER_SECONDS, UNFINISHED_SECONDS } from './entry-lifetimes.js';
import { SetListings, type SetTreeOptions, type UnreadDirectories } from './set-listings.js';
import { type PackedPage, type ShownEntry, type Tree } from './tree.js';
import { Errno, FuseError } from './protocol.js';
import { TardisError } from '../errors/index.js';

/** Place of the top directory, which has no parent. */
const NO_PLACE = 0xffff_ffff;
const MAX_PAGES = Math.ceil(MAX_ENTRIES / PAGE_ENTRIES);
/** Number of keys for the pages of one tree. */
const TREE_KEYS = 2 ** 26 * MAX_PAGES;

export class SetTree implements Tree {
  readonly set: BackupSet;
  readonly validSeconds: number;
  lookups = 0;
  /** True if the set was deleted. */
  isGone = false;
  private roots: RootNode | undefined;
  private loadingRoots: Promise<RootNode> | undefined;
  private readonly table = new DirectoryTable();
  /** Directories that are roots or above roots. */
  private readonly rootNodes = new Map<number, RootNode>();
  private readonly starts = new PageStarts();
  private readonly pinned = new PinnedPages();
  private readonly listings: SetListings;

  constructor(private readonly options: SetTreeOptions) {
    this.set = options.set;
    this.validSeconds = options.set.state === 'complete' ? FOREVER_SECONDS : UNFINISHED_SECONDS;
    const { table, starts } = this;
    const isAroundRoots = (directory: number): boolean => this.nodeAround(directory) !== undefined;
    this.listings = new SetListings({ ...options, owner: this, table, starts, isAroundRoots });
  }

  /** Number of the tree in node ids. */
  get number(): number {
    return this.options.tree;
  }

  private get history(): History {
    return this.options.history;
  }

  entryAt(directory: number, entry: number): Soon<ShownEntry> {
    if (entry >= 0) return this.entryOf(directory, entry);
    if (directory === 0) return after(this.ready(), (roots) => this.shownTop(roots));
    this.requireKnown(directory);
    return this.entryOf(this.table.parent(directory), this.table.place(directory));
  }

  private entryOf(directory: number, position: number): Soon<ShownEntry> {
    return after(this.pageOf(directory, position), (page) => {
      const shown = page.entries[position - page.first];
      if (shown === undefined) throw new FuseError(Errno.ESTALE);
      return shown;
    });
  }

  /** Returns the page that contains an entry, for data that is kept with the page. */
  pageOf(directory: number, position: number): Soon<LoadedPage> {
    return this.loaded(directory, Math.floor(position / PAGE_ENTRIES));
  }

  loadedPage(directory: number, position: number): LoadedPage | undefined {
    const key = this.keyOf(directory, Math.floor(position / PAGE_ENTRIES));
    const page = this.pinned.get(key) ?? this.options.cache.get(key);
    return page instanceof Promise ? undefined : page;
  }

  above(directory: number): { directory: number; position: number } | undefined {
    if (directory === 0) return undefined;
    return { directory: this.table.parent(directory), position: this.table.place(directory) + 1 };
  }

  isLarge(directory: number): boolean {
    return this.listings.isLarge(directory);
  }

  lookup(directory: number, name: Buffer): Soon<ShownEntry | undefined> {
    return after(this.entryAt(directory, -1), ({ entry }) => {
      if (!this.history.access.maySearch(entry)) throw new FuseError(Errno.EACCES);
      const number = this.pageFor(directory, name);
      const wasUnsorted = this.starts.isUnsorted(directory);
      return after(this.loaded(directory, number), (page) => {
        const found = foundIn(page, name);
        if (found !== undefined) return found;
        const next = this.pageAfter(directory, name, { number, page, wasUnsorted });
        return next === undefined ? undefined : this.searchOn(directory, name, next);
      });
    });
  }

  private pageFor(directory: number, name: Buffer): number {
    return this.starts.pageFor(directory, name, this.history.orderOf);
  }

  /**
   * Searches for a name from a page on, in all pages that may have it. A loaded page may show where the next one
   * begins.
   */
  private async searchOn(
    directory: number,
    name: Buffer,
    from: number,
  ): Promise<ShownEntry | undefined> {
    let number: number | undefined = from;
    while (number !== undefined) {
      const wasUnsorted = this.starts.isUnsorted(directory);
      const page: LoadedPage = await this.loaded(directory, number);
      const found = foundIn(page, name);
      if (found !== undefined) return found;
      number = this.pageAfter(directory, name, { number, page, wasUnsorted });
    }
    return undefined;
  }

  /** Returns the page that may have a name after a page that lacks it; undefined if none may. */
  private pageAfter(
    directory: number,
    name: Buffer,
    { number, page, wasUnsorted }: { number: number; page: LoadedPage; wasUnsorted: boolean },
  ): number | undefined {
    const isUnsorted = this.starts.isUnsorted(directory);
    const next = this.pageFor(directory, name);
    if (isUnsorted && this.history.orderOf === undefined) {
      if (!wasUnsorted) return next;
      return page.isLast ? undefined : number + 1;
    }
    return next === number ? undefined : next;
  }

  page(directory: number, position: number, isPlus: boolean): Soon<PackedPage | undefined> {
    const number = Math.floor(position / PAGE_ENTRIES);
    const listing = this.listings.listing(directory, number, isPlus);
    if (listing !== undefined) {
      if (position === 0) this.options.ahead.follow(this, directory);
      return listing;
    }
    return after(this.entryAt(directory, -1), ({ entry }) => {
      if (!this.history.access.mayRead(entry)) throw new FuseError(Errno.EACCES);
      const isKnown = this.starts.of(directory, number) !== undefined;
      // The page before may be the last one, and then there is no next one.
      const isUnknown = number > 0 && position % PAGE_ENTRIES === 0 && !isKnown;
      const before = isUnknown ? this.loaded(directory, number - 1) : undefined;
      return after(before, (previous) => {
        if (previous?.isLast === true) return undefined;
        if (position === 0) this.options.ahead.follow(this, directory);
        return this.packed(directory, number, isPlus);
      });
    });
  }

  get isFixed(): boolean {
    return this.set.state === 'complete' && !this.isGone;
  }

  /** Returns the number of the parent directory; for the top directory, its own number. */
  parentOf(directory: number): number {
    return this.table.parent(directory);
  }

  /**
   * Returns directories that are not loaded, and that a walk probably lists soon after this directory (see
   * SetListings).
   */
  unreadAfter(directory: number, window: number, limit: number): UnreadDirectories {
    return this.listings.unreadAfter(directory, window, limit);
  }

  /** Records that a directory was listed. */
  wasListed(directory: number): void {
    this.options.ahead.follow(this, directory);
  }

  /** Makes the first pages of directories ready as replies. The addon sends those that it can pack by itself. */
  prepare(directories: readonly number[]): Soon<void> {
    if (this.isGone || this.set.state !== 'complete') return;
    const loading: Promise<unknown>[] = [];
    for (const directory of this.listings.makeReady(directories)) {
      if (directory >= this.table.count) continue;
      const isLarge = this.listings.isLarge(directory);
      this.listings.noteOther(directory);
      if (isLarge) continue;
      if (this.listings.listing(directory, 0, true) !== undefined) continue;
      const packed = after(this.loaded(directory, 0), (page) => {
        const whole = this.packPage(directory, page);
        if (page.isLast) whole.plus();
      });
      if (packed instanceof Promise) loading.push(packed);
    }
    if (loading.length > 0) return Promise.allSettled(loading).then(() => undefined);
  }

  private packed(directory: number, number: number, isPlus: boolean): Soon<PackedPage> {
    const key = this.keyOf(directory, number);
    const { cache } = this.options;
    return (
      cache.listing(key, isPlus) ??
      after(this.loaded(directory, number), (page) => {
        const packed = this.packPage(directory, page);
        const isPinned = this.pinned.get(key) !== undefined;
        // A large directory keeps no more than its listing: its entries would fill the memory.
        return page.isLast || isPinned ? packed : cache.keepListing(key, packed, isPlus);
      })
    );
  }

  private packPage(directory: number, page: LoadedPage): PackedPage {
    const { native } = this.options;
    const dots = this.listings.dots(directory);
    return (page.packed ??= packPage(native, page, dots, this.validSeconds));
  }

  async pathOf(directory: number, entry: number): Promise<Buffer> {
    let path = entry < 0 ? NO_BYTES : (await this.entryAt(directory, entry)).entry.name;
    for (let at = directory; at !== 0; at = this.table.parent(at)) {
      const { name } = (await this.entryAt(at, -1)).entry;
      path = path.length === 0 ? name : joinPath(name, path);
    }
    return joinPath(Buffer.from(`/${this.set.name}`), path);
  }

  /** Removes all numbers, when the kernel has no reference left. */
  clear(): void {
    this.table.clear();
    this.listings.clear();
    this.roots = undefined;
    this.rootNodes.clear();
    this.starts.clear();
    this.pinned.clear();
    const from = this.keyOf(0, 0);
    for (const kept of [this.options.cache, this.options.packed]) kept.drop(from, from + TREE_KEYS);
  }

  private requireKnown(directory: number): void {
    if (directory >= this.table.count) throw new FuseError(Errno.ESTALE);
  }

  private ready(): Soon<RootNode> {
    if (this.isGone) throw new FuseError(Errno.ESTALE);
    if (this.roots !== undefined) return this.roots;
    this.loadingRoots ??= this.loadRoots().finally(() => {
      this.loadingRoots = undefined;
    });
    return this.loadingRoots;
  }

  private async loadRoots(): Promise<RootNode> {
    const roots = await rootsOf(this.history, this.set.set);
    this.table.add(0, NO_PLACE, roots.entry?.childId ?? roots.id, roots.device);
    this.rootNodes.set(0, roots);
    this.roots = roots;
    return roots;
  }

  private shownTop(roots: RootNode): ShownEntry {
    const entry = roots.entry ?? virtualDirectory(NO_BYTES, this.set.openedAtMs);
    return this.shownDirectory(entry, 0);
  }

  private shownDirectory(entry: HistoryEntry, number: number): ShownEntry {
    const place = { tree: this.options.tree, directory: number, entry: -1 };
    return {
      entry,
      inode: this.listings.inode(number),
      nodeLow: nodeLow(place),
      nodeHigh: nodeHigh(place, entry.attributes === undefined),
      storedBytes: undefined,
    };
  }

  /** Key of a page of a directory. */
  keyOf(directory: number, number: number): number {
    return this.options.tree * TREE_KEYS + directory * MAX_PAGES + number;
  }

  private loaded(directory: number, number: number): Soon<LoadedPage> {
    if (this.isGone) throw new FuseError(Errno.ESTALE);
    const key = this.keyOf(directory, number);
    const known = this.pinned.get(key) ?? this.options.cache.get(key);
    if (known !== undefined) return known;
    return this.options.cache.load(key, this.load(directory, number)).then((page) => {
      if (this.set.state !== 'complete') this.pinned.pin(key, page);
      return page;
    });
  }

  /**
   * Returns the node of a directory that has roots, or that the set does not have; undefined for every other one, which
   * is listed page by page. For a directory with a node, each page takes all of its entries.
   */
  private nodeAround(directory: number): RootNode | undefined {
    const node = this.rootNodes.get(directory);
    const isPlain = node?.children.size === 0 && this.table.id(directory) >= 0;
    return isPlain ? undefined : node;
  }

  private async load(directory: number, number: number): Promise<LoadedPage> {
    await this.ready();
    this.requireKnown(directory);
    const node = this.nodeAround(directory);
    const first = number * PAGE_ENTRIES;
    const listed =
      node === undefined
        ? await this.list(directory, number)
        : (
            await entriesAround(this.history, this.set, { id: this.table.id(directory), node })
          ).slice(first, first + PAGE_ENTRIES);
    const isLast = listed.length < PAGE_ENTRIES;
    if (!isLast) this.starts.note(directory, number + 1, listed.at(-1)!.name);
    const entries = listed.map(namedEntry);
    const stored = await storedSizes(this.history, entries);
    const shown = entries.map((entry, index) => this.show(directory, first + index, entry, stored));
    const isSorted = entries.every(
      ({ name }, index) => index === 0 || Buffer.compare(entries[index - 1]!.name, name) < 0,
    );
    if (!isSorted) this.starts.noteUnsorted(directory);
    const page = { first, entries: shown, isLast, isSorted, packed: undefined, contents: [] };
    this.listings.noteLoaded(directory, page);
    return page;
  }

  /** Lists a page. If the page before it was never read, that page is read first. */
  private async list(directory: number, number: number): Promise<HistoryEntry[]> {
    if (number >= MAX_PAGES) throw new FuseError(Errno.ENOMEM);
    for (let known = this.starts.firstUnknown(directory) - 1; known < number; known += 1) {
      const { isLast } = await this.loaded(directory, known);
      if (isLast) return [];
    }
    const start = this.starts.of(directory, number)!;
    return this.history.list({
      directory: this.table.id(directory),
      set: this.set.set,
      after: start,
      limit: PAGE_ENTRIES,
      withDigests: false,
    });
  }

  private show(
    directory: number,
    position: number,
    entry: HistoryEntry,
    stored: ReadonlyMap<HistoryEntry, number>,
  ): ShownEntry {
    const { set } = this.set;
    const { table } = this;
    const isDirectory = entry.type === EntryType.directory && entry.damage === undefined;
    const node = this.rootNodes.get(directory)?.children.get(entry.name.toString('latin1'));
    const isCircle = entry.childId !== undefined && table.isWithin(directory, entry.childId);
    if (entry.damage !== undefined || isCircle) {
      const inode = inodeOf(set, table.id(directory), entry, '');
      return { entry, inode, nodeLow: 0, nodeHigh: 0, storedBytes: undefined };
    }
    if (isDirectory) {
      const device = node?.entry === undefined ? table.device(directory) : node.device;
      const number =
        table.find(directory, position) ??
        table.add(directory, position, entry.childId ?? node?.id ?? -1, deviceIn(entry, device));
      if (node !== undefined) this.rootNodes.set(number, node);
      return this.shownDirectory(entry, number);
    }
    const place = { tree: this.options.tree, directory, entry: position };
    const device = node?.entry === undefined ? table.device(directory) : node.device;
    return {
      entry,
      inode: inodeOf(set, table.id(directory), entry, device),
      nodeLow: nodeLow(place),
      nodeHigh: nodeHigh(place, entry.attributes === undefined),
      storedBytes: stored.get(entry),
    };
  }
}

/** Maximum number of entries of an unfinished set. */
const MAX_PINNED_ENTRIES = 256 * 1024;

/**
 * Pages of an unfinished set. They are never removed, since the positions of entries are valid only while their pages
 * are kept.
 */
class PinnedPages {
  private readonly pages = new Map<number, LoadedPage>();
  private entries = 0;

  get(key: number): LoadedPage | undefined {
    return this.pages.get(key);
  }

  /** Keeps a page. Throws ENOMEM if there are too many entries. */
  pin(key: number, page: LoadedPage): void {
    if (this.pages.has(key)) return;
    this.entries += page.entries.length;
    if (this.entries > MAX_PINNED_ENTRIES) throw new FuseError(Errno.ENOMEM);
    this.pages.set(key, page);
  }

  clear(): void {
    this.pages.clear();
    this.entries = 0;
  }
}

/** Maximum size of a name that the kernel accepts (FUSE_NAME_MAX). */
const MAX_SHOWN_BYTES = 1024;
const MAX_PLACEHOLDER_BYTES = 200;
const DOT = 0x2e;
const QUESTION_MARK = 0x3f;

/**
 * Returns the entry, or a damaged entry under a name that can be shown, if its own name cannot be shown. A damaged catalog
 * may contain such names, for which the kernel would refuse the whole directory.
 */
function namedEntry(entry: HistoryEntry): HistoryEntry {
  const { name } = entry;
  if (isEntryName(name) && name.length <= MAX_SHOWN_BYTES) return entry;
  const why = `the catalog has an entry with an invalid name: ${displayName(name)}`;
  return damagedEntry(entry, new TardisError('CATALOG_DAMAGED', why), placeholderOf(name));
}

/**
 * Returns a name that can be shown: each invalid byte is replaced by a question mark, and the name is cut to a valid
 * length.
 */
function placeholderOf(name: Buffer): Buffer {
  const isDots = name.every((byte) => byte === DOT);
  const shown = Buffer.from(name.subarray(0, MAX_PLACEHOLDER_BYTES)).map((byte) =>
    byte === 0 || byte === SLASH || isDots ? QUESTION_MARK : byte,
  );
  return shown.length === 0 ? Buffer.from('?') : Buffer.from(shown);
}
