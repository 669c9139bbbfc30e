/**
 * Loads directories in advance for a program that walks a tree, while the program works on another directory. The
 * subdirectories of that directory are loaded first, then its siblings.
 */
import { BoundedCache } from '../system/index.js';
import { MAX_DIRECTORIES } from './node-ids.js';
import type { SetTree } from './set-tree.js';

/** Maximum number of directories ahead of a walk that are loaded. */
const WINDOW = 32;
/** Maximum number of directories that are loaded at once. */
const AT_ONCE = 8;
/** Distance, in directories, below which directories are loaded even if fewer than `AT_ONCE` are unread. */
const NEAR = 12;
/**
 * Maximum number of listed directories that are remembered. A program that lists a subdirectory of one of them is
 * walking the tree.
 */
const MAX_REMEMBERED = 1024;

interface Walk {
  readonly tree: SetTree;
  readonly directory: number;
}

export class DirectoriesAhead {
  private readonly listed = new BoundedCache<number, true>(MAX_REMEMBERED);
  /** The directory that a walk listed last; undefined once enough is loaded. */
  private walk: Walk | undefined;
  private isLoading = false;
  private isWaiting = false;

  /** Records that a directory is listed. If its parent was listed before, a walk is assumed at this directory. */
  follow(tree: SetTree, directory: number): void {
    const parent = tree.parentOf(directory);
    const parentKey = keyOf(tree, parent);
    const isWalk = directory !== parent && this.listed.has(parentKey);
    if (isWalk) this.listed.set(parentKey, true); // the walk comes back to it
    this.listed.set(keyOf(tree, directory), true);
    if (isWalk) this.walk = { tree, directory };
  }

  /** True if there may be more directories that can be loaded immediately. */
  get hasStep(): boolean {
    return !this.isLoading && this.walk !== undefined;
  }

  /** Loads only a few directories, so that requests do not wait for long. Returns true if there may be others. */
  step(): boolean {
    if (this.isLoading || this.walk === undefined) return false;
    const { tree, directory } = this.walk;
    const { directories, distance } = tree.unreadAfter(directory, WINDOW, AT_ONCE);
    if (directories.length === 0 || (directories.length < AT_ONCE && distance >= NEAR)) {
      this.walk = undefined;
      return false;
    }
    try {
      const loading = tree.prepare(directories);
      if (loading !== undefined) this.wait(loading);
    } catch {
      this.walk = undefined; // the request that lists a directory gets its error
    }
    return this.hasStep;
  }

  /** Loads directories in turns of the event loop. Call it only while no batch of requests is processed. */
  goOn(): void {
    if (this.isWaiting || !this.hasStep) return;
    this.isWaiting = true;
    setImmediate(() => {
      this.isWaiting = false;
      this.step();
      this.goOn();
    });
  }

  private wait(loading: Promise<void>): void {
    this.isLoading = true;
    loading
      .catch(() => undefined) // the request that lists it gets the error
      .finally(() => {
        this.isLoading = false;
        this.goOn();
      });
  }
}

function keyOf(tree: SetTree, directory: number): number {
  return tree.number * (MAX_DIRECTORIES + 1) + directory;
}
