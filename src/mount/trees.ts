/** The trees of a mount by their numbers: 0 is the top level, the others are sets. */
import { after, type Soon } from '../contents/index.js';
import {
  type BackupSet,
  BY_DATE,
  dayOf,
  type History,
  namedSets,
  type ShownSet,
  VERSIONS,
  virtualDirectory,
  virtualLink,
} from '../history/index.js';
import { EntryType, type EntryTypeNumber } from '../model/index.js';
import type { FuseCalls } from '../system/index.js';
import { DirectoriesAhead } from './directories-ahead.js';
import { SHORT_SECONDS } from './entry-lifetimes.js';
import { type Inode, inodeOfDirectory, inodeOfPath, inodeOfSet } from './inodes.js';
import { MAX_TREES, nodeHigh, nodeLow } from './node-ids.js';
import type { PackedListings } from './packed-listings.js';
import { type Dots, packPage } from './packing.js';
import type { PageCache } from './page-cache.js';
import { Errno, FuseError, ROOT_NODE } from './protocol.js';
import type { ReadyPages } from './ready-pages.js';
import { SetTree } from './set-tree.js';
import type { PackedPage, ShownEntry, Tree } from './tree.js';
import { VersionsTree } from './versions-tree.js';

/** Maximum number of trees without references of the kernel that keep their numbers until the next check. */
const MAX_IDLE_TREES = 256;

interface TreesOptions {
  readonly native: FuseCalls;
  readonly history: History;
  readonly cache: PageCache;
  readonly packed: PackedListings;
  readonly ready: ReadyPages;
  readonly current: string;
  /** The only user to whom `versions` is shown; undefined if it is shown to all. */
  readonly versionsFor?: number | undefined;
  readonly nowMs: () => number;
  /** Removes a name of the top level, and everything below it, from the kernel's cache. */
  readonly forgetName: (name: string) => void;
  /** Called when nodes of a tree become stale, or are free to be used again. */
  readonly onStale: () => void;
  /** Called before the present sets are shown. */
  readonly onSets: (sets: readonly BackupSet[]) => void;
}

export class Trees {
  readonly top: TopTree;
  private readonly versions: VersionsTree;
  readonly ahead = new DirectoriesAhead();
  private readonly trees = new Map<number, Tree>();
  private readonly bySet = new Map<number, { tree: SetTree; number: number }>();
  /** The sets at the top level, by their numbers. */
  private shown: ReadonlyMap<number, ShownSet> = new Map();
  private currentName: string | undefined;

  constructor(private readonly options: TreesOptions) {
    const { current, nowMs, history, native } = options;
    this.versions = new VersionsTree({
      history,
      native,
      tree: MAX_TREES,
      onlyUser: options.versionsFor,
      changedMs: () => this.top.changedMs,
    });
    this.trees.set(MAX_TREES, this.versions);
    this.top = new TopTree({
      current,
      native,
      nowMs,
      sets: () => this.look(),
      onSets: (sets) => this.keepNames(sets),
      top: (set) => this.topOf(set),
      versions: () => this.versions.entryAt(0, -1),
    });
    this.trees.set(0, this.top);
  }

  /** Returns a tree by its number. Throws ESTALE for a tree that does not exist any more. */
  tree(number: number): Tree {
    const tree = this.trees.get(number);
    if (tree === undefined) throw new FuseError(Errno.ESTALE);
    return tree;
  }

  /** Returns the sets, and ends the trees of sets that are deleted or have another state. */
  private async look(): Promise<BackupSet[]> {
    const sets = await this.options.history.sets();
    const now = new Map(sets.map((set) => [set.set, set]));
    for (const [set, { name, set: before }] of this.shown) {
      const found = now.get(set);
      const known = this.bySet.get(set);
      const isSame = found !== undefined && (known?.tree.set.state ?? found.state) === found.state;
      if (isSame && found.name === before.name) continue;
      if (!isSame && known !== undefined) {
        this.end(known.tree);
        this.bySet.delete(set);
        // The number stays with the dead tree, so that what is open there answers ESTALE.
      }
      this.options.forgetName(name);
    }
    return sets;
  }

  /** Ends all trees of sets and all versions, whose numbers have become invalid, and reads the sets again. */
  async restart(): Promise<void> {
    for (const { tree } of this.bySet.values()) this.end(tree);
    this.bySet.clear();
    this.versions.restart();
    for (const { name } of this.shown.values()) this.options.forgetName(name);
    this.top.restart();
    await this.top.refresh();
  }

  private keepNames(sets: readonly ShownSet[]): void {
    this.options.onSets(sets.map(({ set }) => set));
    this.shown = new Map(sets.map((shown) => [shown.set.set, shown]));
    const newest = sets.findLast(({ set }) => set.state === 'complete')?.name;
    if (newest === this.currentName) return;
    this.currentName = newest;
    this.options.forgetName(this.options.current);
  }

  private topOf(set: BackupSet): Soon<ShownEntry> {
    const known = this.bySet.get(set.set);
    if (known !== undefined) return known.tree.entryAt(0, -1);
    const number = this.freeNumber();
    const { history, native, cache, packed, ready } = this.options;
    const { ahead } = this;
    const tree = new SetTree({ history, native, set, tree: number, cache, packed, ready, ahead });
    this.trees.set(number, tree);
    this.bySet.set(set.set, { tree, number });
    return tree.entryAt(0, -1);
  }

  private freeNumber(): number {
    if (this.trees.size > MAX_IDLE_TREES) this.dropIdle();
    for (let number = 1; number <= MAX_TREES; number += 1) {
      if (!this.trees.has(number)) return number;
    }
    throw new FuseError(Errno.ENOMEM);
  }

  /** Drops the trees to which the kernel has no reference. */
  dropIdle(): void {
    const { ready } = this.options;
    this.options.onStale(); // from now on no further reply is sent
    ready.count(); // a tree has the references of replies that were sent
    for (const [number, tree] of this.trees) {
      if (tree.lookups > 0) continue;
      if (tree instanceof VersionsTree) tree.clear();
      if (!(tree instanceof SetTree) || ready.isSending(tree)) continue;
      tree.clear();
      this.trees.delete(number);
      if (this.bySet.get(tree.set.set)?.tree === tree) this.bySet.delete(tree.set.set);
    }
  }

  /** Ends a tree: requests for its nodes fail with ESTALE. */
  private end(tree: SetTree): void {
    tree.isGone = true;
    tree.clear();
    this.options.onStale();
  }
}

/** Interval at which the sets are looked at again. */
const REFRESH_MS = 1000;

interface TopOptions {
  readonly native: FuseCalls;
  /** Name of the link to the newest complete set. */
  readonly current: string;
  readonly nowMs: () => number;
  /** Returns the sets, after ending the trees of deleted sets. */
  readonly sets: () => Promise<readonly BackupSet[]>;
  /** Called with the names of the present sets. */
  readonly onSets: (sets: readonly ShownSet[]) => void;
  /** Returns the directory of all versions. */
  readonly versions: () => ShownEntry;
  /** Returns the directory of a set. Throws FuseError. */
  readonly top: (set: BackupSet) => Soon<ShownEntry>;
}

interface Item {
  readonly name: Buffer;
  readonly type: EntryTypeNumber;
  /** Number of the item. For a directory, it is the number of the directory. */
  readonly number: number;
  readonly set?: BackupSet;
  readonly target?: string;
  readonly timeMs: number;
}

interface Folder {
  readonly parent: number;
  readonly items: Item[];
  readonly timeMs: number;
}

/**
 * The top level: `Current`, a directory for each set, and links to the sets by date. The top level is rebuilt when the
 * sets have changed. The sets are checked only when the mount is used, at most once a second.
 */
class TopTree implements Tree {
  readonly validSeconds = SHORT_SECONDS;
  lookups = 0;
  private folders = new Map<number, Folder>();
  private items = new Map<number, Item>();
  /** Numbers of folders and links, by path and target. They are kept while the process runs. */
  private readonly numbers = new Map<string, number>();
  private shown = '';
  /** Time of the last detected change of the sets, shown as the time of directories. */
  changedMs: number;
  private lookedMs = -Infinity;
  private looking: Promise<void> | undefined;

  constructor(private readonly options: TopOptions) {
    this.changedMs = options.nowMs();
  }

  /** Updates the sets: finds new and deleted sets, unless that was done a moment ago. */
  refresh(): Soon<void> {
    if (performance.now() - this.lookedMs < REFRESH_MS) return undefined;
    this.looking ??= this.look().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  /** Marks the top level to be rebuilt at the next check. */
  restart(): void {
    this.shown = '';
    this.lookedMs = -Infinity;
  }

  private async look(): Promise<void> {
    const sets = await this.options.sets();
    this.lookedMs = performance.now();
    const shown = JSON.stringify(sets.map(({ set, name, state }) => [set, name, state]));
    if (shown === this.shown) return;
    this.shown = shown;
    this.changedMs = this.options.nowMs();
    this.build(sets);
  }

  private build(sets: readonly BackupSet[]): void {
    this.folders = new Map([[0, { parent: 0, items: [], timeMs: this.changedMs }]]);
    this.items = new Map();
    const named = namedSets(sets, [this.options.current, BY_DATE, VERSIONS]);
    const newest = named.findLast(({ set }) => set.state === 'complete');
    if (newest !== undefined) {
      this.addLink(0, this.options.current, newest.name, newest.set.openedAtMs);
    }
    const versions = { name: Buffer.from(VERSIONS), type: EntryType.directory, number: -1 };
    this.folders.get(0)!.items.push({ ...versions, timeMs: this.changedMs });
    for (const { name, set } of named) {
      const item = { type: EntryType.directory, timeMs: set.openedAtMs, set };
      this.folders.get(0)!.items.push({ name: Buffer.from(name), number: -1, ...item });
      const days = [BY_DATE, ...dayOf(set)];
      let folder = 0;
      for (const [depth] of days.entries()) {
        folder = this.folder(folder, days.slice(0, depth + 1), set.openedAtMs);
      }
      this.addLink(folder, name, `../../../../${name}`, set.openedAtMs);
    }
    for (const { items } of this.folders.values()) {
      items.sort((one, other) => Buffer.compare(one.name, other.name));
    }
    this.options.onSets(named);
  }

  private numberOf(key: string): number {
    const number = this.numbers.get(key) ?? this.numbers.size + 1;
    this.numbers.set(key, number);
    return number;
  }

  private folder(parent: number, path: readonly string[], timeMs: number): number {
    const number = this.numberOf(path.join('/'));
    if (this.folders.has(number)) return number;
    this.folders.set(number, { parent, items: [], timeMs });
    const name = Buffer.from(path.at(-1)!);
    const item = { name, type: EntryType.directory, number, timeMs };
    this.items.set(number, item);
    this.folders.get(parent)!.items.push(item);
    return number;
  }

  /** Adds a link. A link with a changed target is a new node, since the kernel caches targets. */
  private addLink(folder: number, name: string, target: string, timeMs: number): void {
    const number = this.numberOf(`${folder}/${name} -> ${target}`);
    const item = { name: Buffer.from(name), type: EntryType.symlink, number, target, timeMs };
    this.items.set(number, item);
    this.folders.get(folder)!.items.push(item);
  }

  entryAt(directory: number, entry: number): Soon<ShownEntry> {
    if (entry >= 0) throw new FuseError(Errno.ESTALE);
    return after(this.refresh(), () => {
      if (directory !== 0) return this.show(this.itemOf(directory));
      const shown = virtualDirectory(Buffer.from('/'), this.changedMs);
      const node = { nodeLow: ROOT_NODE, nodeHigh: 0 };
      return { entry: shown, inode: inodeAt(0), ...node, storedBytes: undefined };
    });
  }

  lookup(directory: number, name: Buffer): Soon<ShownEntry | undefined> {
    return after(this.refresh(), () => {
      const found = this.folderOf(directory).items.find((item) => item.name.equals(name));
      if (found?.set !== undefined) return this.options.top(found.set);
      return found?.number === -1 ? this.options.versions() : found && this.show(found);
    });
  }

  page(directory: number, position: number): Soon<PackedPage | undefined> {
    return after(this.refresh(), () => {
      const { items } = this.folderOf(directory);
      if (position > items.length) return undefined;
      const page = { first: 0, entries: items.map((item) => this.show(item)) };
      return packPage(this.options.native, page, this.dots(directory), SHORT_SECONDS);
    });
  }

  private dots(directory: number): Dots {
    return [inodeAt(directory), inodeAt(this.folderOf(directory).parent)];
  }

  async pathOf(directory: number): Promise<Buffer> {
    return Buffer.from(`/${directory === 0 ? '' : this.itemOf(directory).name.toString()}`);
  }

  private folderOf(directory: number): Folder {
    const folder = this.folders.get(directory);
    if (folder === undefined) throw new FuseError(Errno.ESTALE);
    return folder;
  }

  private itemOf(number: number): Item {
    const item = this.items.get(number);
    if (item === undefined) throw new FuseError(Errno.ESTALE);
    return item;
  }

  /**
   * Returns the entry of an item. A set is shown without a node; the kernel requests its node when it needs more than
   * the name.
   */
  private show(item: Item): ShownEntry {
    const { name, timeMs, target, number } = item;
    const entry =
      target === undefined ? virtualDirectory(name, timeMs) : virtualLink(name, target, timeMs);
    const place = { tree: 0, directory: number, entry: -1 };
    const isNode = number >= 0;
    return {
      entry,
      inode: inodeOfItem(item),
      nodeLow: isNode ? nodeLow(place) : 0,
      nodeHigh: isNode ? nodeHigh(place, true) : 0,
      storedBytes: undefined,
    };
  }
}

function inodeOfItem({ set, number }: Item): Inode {
  if (set !== undefined) return inodeOfSet(set.set);
  return number < 0 ? inodeOfPath(Buffer.from('/')) : inodeAt(number);
}

function inodeAt(number: number): Inode {
  return inodeOfDirectory(0, -number);
}
