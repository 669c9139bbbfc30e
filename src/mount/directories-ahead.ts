/**
 * Loads the directories that a walk lists next, while the walking program works on the one before: its subdirectories,
 * then those beside it.
 */
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
  private readonly listed = new Set<string>();
  private wanted: Wanted[] = [];
  private isRunning = false;

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
    this.run();
  }

  private remember(key: string): void {
    this.listed.delete(key);
    this.listed.add(key);
    const [oldest] = this.listed;
    if (this.listed.size > MAX_REMEMBERED) this.listed.delete(oldest!);
  }

  /** Loads one directory in each turn of the event loop, so that requests wait for one at most. */
  private run(): void {
    if (this.isRunning) return;
    const next = this.wanted.shift();
    if (next === undefined) return;
    this.isRunning = true;
    setImmediate(() => {
      next.tree
        .prepare(next.directory)
        .catch(() => undefined) // the request that lists it gets the error
        .finally(() => {
          this.isRunning = false;
          this.run();
        });
    });
  }
}

function keyOf(tree: SetTree, directory: number): string {
  return `${tree.number}/${directory}`;
}
