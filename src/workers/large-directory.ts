/**
 * Directories with so many names that their rows shall not be in memory at once. The names are held by
 * the addon, sorted; rows are made page by page, and made again if the pages are wanted. So a million
 * unchanged files cost 10 bytes each, not a hundred.
 */
import {
  type DirectoryDecider,
  type Excluder,
  type Filtered,
  filterListing,
  type ListedDirectory,
} from '../excludes/index.js';
import type { System } from '../system/index.js';

/** With more names than this a directory is listed in pages. */
export const MOST_NAMES = 16_384;
/** Names of a page. Skip hashes depend on it, so a change of it makes one comparison more. */
const PAGE_NAMES = 4096;

export type LargeTask = Omit<ListedDirectory, 'rows'>;

export class LargeDirectory {
  /** Undefined where nothing is left out. */
  readonly decider: DirectoryDecider | undefined;
  private readonly count: number;
  private readonly system: System;
  private readonly task: LargeTask;
  private readonly held: number;
  private readonly tellsPaths: boolean;

  /** `held`: of `listOrHold`. Throws what the system says of the directory. */
  constructor(
    system: System,
    excluder: Excluder,
    task: LargeTask,
    held: number,
    tellsPaths: boolean,
  ) {
    this.system = system;
    this.task = task;
    this.held = held;
    this.tellsPaths = tellsPaths;
    this.count = system.native.heldNames(held);
    this.decider = excluder.enter({ ...task, rows: excluder.markRows(task.path) });
  }

  /** What stays of the page from the `from`-th name on. */
  page(from: number): Filtered & { readonly next: number; readonly isLast: boolean } {
    const next = Math.min(from + PAGE_NAMES, this.count);
    const listing = this.system.native.heldRows(this.held, from, next - from);
    const { decider, tellsPaths, task } = this;
    const kept =
      decider === undefined
        ? { listing, leftOut: 0, told: [] }
        : filterListing(decider, task.path, listing, tellsPaths);
    return { ...kept, next, isLast: next === this.count };
  }
}
