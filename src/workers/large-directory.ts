/**
 * Directories with too many names to keep all their rows in memory. The addon holds the sorted names. Rows are made
 * page by page, and made again if a page is needed. So a million unchanged files cost 10 bytes each instead of a
 * hundred.
 */
import {
  type DirectoryDecider,
  Excluder,
  type Filtered,
  filterListing,
  type ListedDirectory,
} from '../excludes/index.js';
import type { System } from '../system/index.js';
import { RowReader } from '../model/index.js';
import { transferOf } from './block-builder.js';
import { inspectRows, nowNs, unreadableFailures } from './inspect.js';
import type { JobResult, PageInput, PageOutput } from './jobs.js';
import { OwnerNames } from './owner-names.js';
import { unpackBlock } from './directory-block.js';

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

/** Lists one page of a large directory that differs. */
export function pageJob(input: PageInput, system: System): JobResult<PageOutput> {
  const [task] = unpackBlock(input.directory);
  const { path, identity, rules, parent } = task!;
  const startNs = nowNs(system);
  const options = { ...input.excludes, reportsPaths: false };
  const excluder = new Excluder(options, system);
  const isRoot = parent < 0;
  const directory = new LargeDirectory(system, excluder, {
    task: { path, identity, rules, isRoot },
    held: input.held,
    reportsPaths: false,
  });
  const { listing, next, isLast } = directory.page(input.from);
  const owners = new OwnerNames(system);
  const rows = new RowReader(listing);
  const hash = system.native.hashRows(listing);
  const { unreadable } = inspectRows(system, listing, { startNs, directory: identity }, owners);
  const failures = unreadableFailures(system, task!, rows, unreadable);
  const output = { rows: listing, hash, next, isLast, owners: owners.take(), failures };
  return { output, transfer: transferOf(listing, hash) };
}

/** Frees the names that are held for a large directory. */
export function dropNamesJob(input: { readonly held: number }, system: System): JobResult<null> {
  system.native.dropNames(input.held);
  return { output: null, transfer: [] };
}
