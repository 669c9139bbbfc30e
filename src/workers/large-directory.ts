/**
 * Directories with too many names to keep all their rows in memory. The addon holds the sorted names. Rows are made
 * page by page, and made again if a page is needed. So a million unchanged files cost 10 bytes each instead of a
 * hundred.
 */
import {
  type DirectoryDecider,
  type Excluder,
  type Filtered,
  filterListing,
  type ListedDirectory,
} from '../excludes/index.js';
import type { System } from '../system/index.js';

/** Directories with more names than this are listed in pages. */
export const MOST_NAMES = 16_384;
/**
 * Number of names in a page. Skip hashes depend on this number: changing it causes one more comparison of each large
 * directory.
 */
const PAGE_NAMES = 4096;

type LargeTask = Omit<ListedDirectory, 'rows'>;

export class LargeDirectory {
  /** Undefined if nothing is left out. */
  readonly decider: DirectoryDecider | undefined;
  private readonly count: number;
  private readonly task: LargeTask;
  private readonly held: number;
  private readonly reportsPaths: boolean;

  /** `held` is an id from `listOrHold`. Throws the system's errors of accessing the directory. */
  constructor(
    private readonly system: System,
    excluder: Excluder,
    {
      task,
      held,
      reportsPaths,
    }: { readonly task: LargeTask; readonly held: number; readonly reportsPaths: boolean },
  ) {
    this.task = task;
    this.held = held;
    this.reportsPaths = reportsPaths;
    this.count = system.native.heldNames(held);
    this.decider = excluder.enter({ ...task, rows: excluder.markRows(task) });
  }

  /** Returns the page that begins at the `from`-th name, without entries that are left out. */
  page(from: number): Filtered & { readonly next: number; readonly isLast: boolean } {
    const next = Math.min(from + PAGE_NAMES, this.count);
    const listing = this.system.native.heldRows(this.held, from, next - from);
    const { decider, reportsPaths, task } = this;
    const kept =
      decider === undefined
        ? { listing, leftOut: 0, reported: [] }
        : filterListing(decider, task.path, listing, reportsPaths);
    return { ...kept, next, isLast: next === this.count };
  }
}
