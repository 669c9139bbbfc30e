/** The trees of a mount by their numbers: 0 is the top level, the others are sets. */
import type { Soon } from '../contents/index.js';
import type { BackupSet, History, ShownSet } from '../history/index.js';
import type { FuseCalls } from '../system/index.js';
import { DirectoriesAhead } from './directories-ahead.js';
import { MAX_TREES } from './node-ids.js';
import type { PackedListings } from './packed-listings.js';
import type { PageCache } from './page-cache.js';
import { Errno, FuseError } from './protocol.js';
import type { ReadyPages } from './ready-pages.js';
import { SetTree } from './set-tree.js';
import { TopTree } from './top-tree.js';
import type { ShownEntry, Tree } from './tree.js';
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
