/**
 * Loads the directories that a walk lists next, while the walking program works on the one before: its subdirectories,
 * then those beside it.
 */
import { MAX_DIRECTORIES } from './node-ids.js';
import type { SetTree } from './set-tree.js';

/** Directories that are loaded ahead. */
const AHEAD_DIRECTORIES = 8;
/** Number of listed directories that are remembered. A program that lists a subdirectory of one is walking the tree. */
const MAX_REMEMBERED = 64;

interface Wanted {
  readonly tree: SetTree;
  readonly directory: number;
}

export class DirectoriesAhead {
  private readonly listed = new Set<number>();
  private wanted: Wanted[] = [];
  private isLoading = false;
  private isWaiting = false;

  /** Notes that a directory is listed. */
  follow(tree: SetTree, directory: number): void {
    const parent = tree.parentOf(directory);
    const isWalk = directory !== parent && this.listed.has(keyOf(tree, parent));
    this.remember(keyOf(tree, directory));
    if (!isWalk) return;
    const next = tree.directoriesIn(directory, -1, AHEAD_DIRECTORIES);
    const beside = tree.directoriesIn(parent, tree.placeOf(directory), AHEAD_DIRECTORIES);
    this.wanted = [...next, ...beside]
      .slice(0, AHEAD_DIRECTORIES)
      .map((found) => ({ tree, directory: found }));
  }

  private remember(key: number): void {
    this.listed.delete(key);
    this.listed.add(key);
    const [oldest] = this.listed;
    if (this.listed.size > MAX_REMEMBERED) this.listed.delete(oldest!);
  }

  /** True if a directory can be loaded now. */
  get hasStep(): boolean {
    return !this.isLoading && this.wanted.length > 0;
  }

  /** Loads one directory, so that requests wait for one at most. Returns true if another one can be loaded at once. */
  step(): boolean {
    if (!this.hasStep) return false;
    const { tree, directory } = this.wanted.shift()!;
    try {
      const loading = tree.prepare(directory);
      if (loading instanceof Promise) this.wait(loading);
    } catch {
      // The request that lists it gets the error.
    }
    return this.hasStep;
  }

  /** Loads what is wanted in turns of the event loop. Call it when no batch of requests is going on. */
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
