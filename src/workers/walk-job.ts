/**
 * The walk stage: lists directories in pre-order (names by their bytes) until enough entries have
 * been seen. A listing is settled, and gets a skip hash, only if no entry in it has changed in the
 * two seconds before it was read.
 */
import { createHash } from 'node:crypto';
import { systemCode } from '../errors/index.js';
import {
  Excluder,
  filterListing,
  type LeftOut,
  type RuleLink,
  type RuleProblem,
} from '../excludes/index.js';
import {
  BytesBuilder,
  joinPath,
  releaseAll,
  releaseMemory,
  RowFlag,
  RowReader,
} from '../model/index.js';
import type { System } from '../system/index.js';
import { memoryOf } from './block-builder.js';
import { blockMemory, type DirectoryTask, packBlock, unpackBlock } from './directory-block.js';
import { type Inspected, inspectRows, nowNs, racyFromNs, unreadableFailures } from './inspect.js';
import type { Failure, HeldDirectory, JobResult, WalkInput, WalkOutput } from './jobs.js';
import { LargeDirectory, MOST_NAMES } from './large-directory.js';
import { OwnerNames } from './owner-names.js';

const HASH_BYTES = 32;

/** What stays of a listing. */
interface Kept {
  readonly listing: Buffer;
  /** For what is below. */
  readonly rules: RuleLink | undefined;
  /** Every rule file could be read. */
  readonly isCertain: boolean;
}

export function walkJob(input: WalkInput, system: System): JobResult<WalkOutput> {
  const walk = new Walk(input, system);
  walk.run();
  return walk.result();
}

class Walk {
  private readonly stack: DirectoryTask[];
  private readonly walked: DirectoryTask[] = [];
  private readonly hashes = new BytesBuilder(4096);
  private readonly listings = new BytesBuilder(128 << 10);
  private readonly listingEnds: number[] = [];
  private readonly large: HeldDirectory[] = [];
  private readonly failures: Failure[] = [];
  private readonly excluder: Excluder;
  private readonly leftOutPaths: LeftOut[] = [];
  /** Listings that have been copied: in a thread nothing else makes its collector free them soon. */
  private readonly spent: Buffer[] = [];
  private leftOut = 0;
  private readonly owners: OwnerNames;
  private entries = 0;
  private fileBytes = 0;
  private nextSlot: number;
  private readonly input: WalkInput;
  private readonly system: System;

  constructor(input: WalkInput, system: System) {
    this.input = input;
    this.system = system;
    this.stack = unpackBlock(input.tasks);
    this.nextSlot = input.firstFreeSlot;
    this.excluder = new Excluder(input.excludes, system);
    this.owners = new OwnerNames(system);
  }

  run(): void {
    // A directory counts too: a long row of empty ones must not make one endless job.
    while (this.entries + this.walked.length < this.input.maxEntries) {
      const task = this.stack.pop();
      if (task === undefined) return;
      this.visit(task);
    }
  }

  private visit(task: DirectoryTask): void {
    const startNs = nowNs(this.system);
    try {
      const listed = this.system.native.listOrHold(task.path, MOST_NAMES);
      if (typeof listed === 'number') this.visitLarge(task, listed);
      else this.visitListed(task, listed, startNs);
    } catch (error) {
      this.fail(task, error);
    }
  }

  private visitListed(task: DirectoryTask, listed: Buffer, startNs: bigint): void {
    const { listing, rules, isCertain } = this.keep(task, listed);
    if (listing !== listed) this.spent.push(listed);
    const rows = new RowReader(listing);
    const inspected = inspectRows(rows, racyFromNs(this.system, startNs), this.owners);
    const { slot, path } = task;
    const { unreadable } = inspected;
    this.failures.push(...unreadableFailures(this.system, slot, path, rows, unreadable));
    const isSettled = inspected.isSettled && isCertain;
    this.count(inspected);
    this.enter(this.childrenIn(rows, inspected, task, rules));
    this.walked.push(task);
    this.hashes.append(isSettled ? this.system.native.hashRows(listing) : NO_HASH);
    if (!this.listings.adopt(listing)) this.spent.push(listing);
    this.listingEnds.push(this.listings.length);
  }

  /** Of a large directory only the hash and the children are taken now; see LargeDirectory. */
  private visitLarge(task: DirectoryTask, held: number): void {
    const { native } = this.system;
    try {
      const { path, parent, rules } = task;
      const isRoot = parent < 0;
      const { tellsPaths } = this.input.excludes;
      const about = { path, rules, isRoot };
      const directory = new LargeDirectory(this.system, this.excluder, about, held, tellsPaths);
      const below = directory.decider === undefined ? rules : directory.decider.rules;
      const children: DirectoryTask[] = [];
      const pages = createHash('sha256');
      let entries = 0;
      let isSettled = this.noteProblems(task, directory.decider?.problems ?? []);
      for (let [from, isLast] = [0, false]; !isLast; ) {
        const startNs = nowNs(this.system);
        const page = directory.page(from);
        const rows = new RowReader(page.listing);
        const inspected = inspectRows(rows, racyFromNs(this.system, startNs), this.owners);
        isSettled &&= inspected.isSettled;
        this.count(inspected);
        entries += inspected.entries;
        this.tellLeftOut(page.leftOut, page.told);
        children.push(...this.childrenIn(rows, inspected, task, below));
        pages.update(native.hashRows(page.listing));
        releaseMemory(page.listing);
        ({ next: from, isLast } = page);
      }
      this.enter(children);
      this.large.push({ index: this.walked.length, held, entries });
      this.walked.push(task);
      this.hashes.append(isSettled ? pages.digest() : NO_HASH);
      this.listingEnds.push(this.listings.length);
    } catch (error) {
      native.dropNames(held);
      throw error;
    }
  }

  private count({ entries, fileBytes }: Inspected): void {
    this.entries += entries;
    this.fileBytes += fileBytes;
  }

  /** The directories to be walked among some rows, in their order. */
  private childrenIn(
    rows: RowReader,
    { directories }: Inspected,
    task: DirectoryTask,
    rules: RuleLink | undefined,
  ): DirectoryTask[] {
    const { crossDevices = false, maxDepth = 0, slotStride } = this.input;
    const depth = (task.depth ?? 0) + 1;
    if (maxDepth > 0 && depth >= maxDepth) return [];
    const children: DirectoryTask[] = [];
    for (const at of directories) {
      // Another file system begins here: its mount point is kept, what is in it is not entered.
      if ((rows.flags(at) & RowFlag.otherDevice) !== 0 && !crossDevices) continue;
      const path = joinPath(task.path, rows.name(at));
      const row = Buffer.from(rows.row(at));
      children.push({ slot: this.nextSlot, parent: task.slot, path, row, depth, rules });
      this.nextSlot += slotStride;
    }
    return children;
  }

  private enter(children: readonly DirectoryTask[]): void {
    for (let index = children.length - 1; index >= 0; index -= 1) this.stack.push(children[index]!);
  }

  private keep(task: DirectoryTask, listing: Buffer): Kept {
    const { path, rules } = task;
    const rows = new RowReader(listing);
    const decider = this.excluder.enter({ path, rules, rows, isRoot: task.parent < 0 });
    if (decider === undefined) return { listing, rules, isCertain: true };
    const { tellsPaths } = this.input.excludes;
    const { listing: kept, leftOut, told } = filterListing(decider, path, listing, tellsPaths);
    this.tellLeftOut(leftOut, told);
    const isCertain = this.noteProblems(task, decider.problems);
    return { listing: kept, rules: decider.rules, isCertain };
  }

  private tellLeftOut(leftOut: number, told: readonly LeftOut[]): void {
    this.leftOut += leftOut;
    for (const each of told) this.leftOutPaths.push(each);
  }

  /** False if there are any: rule files that cannot be read may have said anything. */
  private noteProblems({ path, slot }: DirectoryTask, problems: readonly RuleProblem[]): boolean {
    for (const { name, reason } of problems) {
      const file = joinPath(path, name);
      this.failures.push({ slot, name, path: file, what: 'unreadable', reason });
    }
    return problems.length === 0;
  }

  private fail(task: DirectoryTask, error: unknown): void {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const isGone = code === 'ENOENT' || code === 'ENOTDIR';
    const name = new RowReader(task.row).name(0);
    const what = isGone ? 'vanished' : 'unreadable';
    const { parent: slot, path } = task;
    this.failures.push({ slot, name: Buffer.from(name), path, what, reason: code });
  }

  result(): JobResult<WalkOutput> {
    const walked = packBlock(this.walked);
    const pending = packBlock(this.stack);
    const output: WalkOutput = {
      walked,
      hashes: this.hashes.take(),
      listings: this.listings.take(),
      listingEnds: Uint32Array.from(this.listingEnds),
      large: this.large,
      entries: this.entries,
      fileBytes: this.fileBytes,
      pending,
      nextFreeSlot: this.nextSlot,
      owners: this.owners.take(),
      failures: this.failures,
      leftOut: this.leftOut,
      leftOutPaths: this.leftOutPaths,
    };
    releaseAll(this.spent);
    const { hashes, listings, listingEnds } = output;
    const transfer = [
      ...blockMemory(walked),
      ...blockMemory(pending),
      ...memoryOf(hashes, listings, listingEnds),
    ];
    return { output, transfer };
  }
}

const NO_HASH = Buffer.alloc(HASH_BYTES);
