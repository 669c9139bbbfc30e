/**
 * The walk stage: lists directories in pre-order (names by their bytes) until enough entries have
 * been seen. A listing is settled, and gets a skip hash, only if no entry in it has changed in the
 * two seconds before it was read: clocks are coarse, and a later change could show the same time.
 */
import { systemCode } from '../errors/index.js';
import {
  Excluder,
  filterListing,
  type LeftOut,
  packChains,
  type RuleLink,
  unpackChains,
} from '../excludes/index.js';
import {
  BytesBuilder,
  EntryType,
  joinPath,
  releaseAll,
  RowFlag,
  RowReader,
} from '../model/index.js';
import type { System } from '../system/index.js';
import { memoryOf, runOf } from './block-builder.js';
import { OwnerNames } from './owner-names.js';
import type { DirectoryBlock, Failure, JobResult, WalkInput, WalkOutput } from './jobs.js';

/** An entry changed later than this before it was read may change again without a trace. */
export const RACY_WINDOW_NS = 2_000_000_000n;
const HASH_BYTES = 32;

/** What stays of a listing. */
interface Kept {
  readonly listing: Buffer;
  /** For what is below. */
  readonly rules: RuleLink | undefined;
  /** Every rule file could be read. */
  readonly isCertain: boolean;
}

interface Task {
  readonly slot: number;
  readonly parent: number;
  readonly path: Buffer;
  readonly row: Buffer;
  /** Below its root; 0 if not given. */
  readonly depth?: number;
  /** The rule files above it, the nearest first. */
  readonly rules?: RuleLink | undefined;
}

export function walkJob(input: WalkInput, system: System): JobResult<WalkOutput> {
  const walk = new Walk(input, system);
  walk.run();
  return walk.result();
}

class Walk {
  private readonly stack: Task[];
  private readonly walked: Task[] = [];
  private readonly hashes = new BytesBuilder(4096);
  private readonly listings = new BytesBuilder(128 << 10);
  private readonly listingEnds: number[] = [];
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

  private visit(task: Task): void {
    const startNs = BigInt(Math.floor(this.system.clock.nowMs())) * 1_000_000n;
    let kept: Kept;
    try {
      const listed = this.system.native.listDirectory(task.path);
      kept = this.keep(task, listed);
      if (kept.listing !== listed) this.spent.push(listed);
    } catch (error) {
      this.fail(task, error);
      return;
    }
    const { listing, rules } = kept;
    const isSettled = this.inspect(listing, { ...task, rules }, startNs) && kept.isCertain;
    this.walked.push(task);
    this.hashes.append(isSettled ? this.system.native.hashRows(listing) : NO_HASH);
    if (!this.listings.adopt(listing)) this.spent.push(listing);
    this.listingEnds.push(this.listings.length);
  }

  /** Marks racy entries, counts, and puts child directories on the stack; true when settled. */
  private inspect(listing: Buffer, task: Task, startNs: bigint): boolean {
    const rows = new RowReader(listing);
    const racyFromNs = startNs - RACY_WINDOW_NS;
    const children: Task[] = [];
    const { crossDevices = false, maxDepth = 0 } = this.input;
    const depth = (task.depth ?? 0) + 1;
    const isBottom = maxDepth > 0 && depth >= maxDepth;
    let isSettled = true;
    for (let at = 0; at < listing.length; at += rows.rowBytes(at)) {
      const flags = rows.flags(at);
      this.entries += 1;
      this.owners.meet(rows.uid(at), rows.gid(at));
      if ((flags & RowFlag.unreadable) !== 0) {
        isSettled = false;
        this.failures.push({
          slot: task.slot,
          name: Buffer.from(rows.name(at)),
          path: joinPath(task.path, rows.name(at)),
          what: 'unreadable',
          reason: this.whyUnreadable(task.path, rows.name(at)),
        });
        continue;
      }
      if (rows.ctimeNs(at) >= racyFromNs) {
        rows.setFlags(at, flags | RowFlag.unsettled);
        isSettled = false;
      }
      const type = rows.type(at);
      if (type === EntryType.file) this.fileBytes += rows.sizeBytes(at);
      if (type !== EntryType.directory || isBottom) continue;
      // Another file system begins here: its mount point is kept, what is in it is not entered.
      if ((flags & RowFlag.otherDevice) !== 0 && !crossDevices) continue;
      children.push({
        slot: this.nextSlot,
        parent: task.slot,
        path: joinPath(task.path, rows.name(at)),
        row: Buffer.from(rows.row(at)),
        depth,
        rules: task.rules,
      });
      this.nextSlot += this.input.slotStride;
    }
    for (let index = children.length - 1; index >= 0; index -= 1) this.stack.push(children[index]!);
    return isSettled;
  }

  /** The listing says only that an entry could not be looked at: so it is looked at once more. */
  private whyUnreadable(directory: Buffer, name: Buffer): string {
    try {
      this.system.native.statRow(joinPath(directory, name), name);
      return 'EAGAIN'; // this time it could
    } catch (error) {
      const code = systemCode(error);
      if (code === undefined) throw error;
      return code;
    }
  }

  private keep(task: Task, listing: Buffer): Kept {
    const { path, rules, slot } = task;
    const rows = new RowReader(listing);
    const decider = this.excluder.enter({ path, rules, rows, isRoot: task.parent < 0 });
    if (decider === undefined) return { listing, rules, isCertain: true };
    const { tellsPaths } = this.input.excludes;
    const { listing: kept, leftOut, told } = filterListing(decider, path, listing, tellsPaths);
    this.leftOut += leftOut;
    for (const each of told) this.leftOutPaths.push(each);
    for (const { name, reason } of decider.problems) {
      const file = joinPath(path, name);
      this.failures.push({ slot, name, path: file, what: 'unreadable', reason });
    }
    return { listing: kept, rules: decider.rules, isCertain: decider.problems.length === 0 };
  }

  private fail(task: Task, error: unknown): void {
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

/** Packs directories (walk order, or a stack with its top last). */
export function packBlock(tasks: readonly Task[]): DirectoryBlock {
  const rows = new BytesBuilder(tasks.length * 112);
  const paths = new BytesBuilder(tasks.length * 64);
  const block = {
    slots: new Uint32Array(tasks.length),
    parents: new Int32Array(tasks.length),
    depths: new Uint32Array(tasks.length),
    rowEnds: new Uint32Array(tasks.length),
    pathEnds: new Uint32Array(tasks.length),
  };
  tasks.forEach((task, index) => {
    rows.append(task.row);
    paths.append(task.path);
    block.slots[index] = task.slot;
    block.parents[index] = task.parent;
    block.depths[index] = task.depth ?? 0;
    block.rowEnds[index] = rows.length;
    block.pathEnds[index] = paths.length;
  });
  const rules = packChains(tasks.map((task) => task.rules));
  return { ...block, rows: rows.take(), paths: paths.take(), rules };
}

function unpackBlock(block: DirectoryBlock): Task[] {
  const rulesOf = unpackChains(block.rules);
  return Array.from(block.slots, (slot, index) => ({
    slot,
    parent: block.parents[index]!,
    path: runOf(block.paths, block.pathEnds, index),
    row: runOf(block.rows, block.rowEnds, index),
    depth: block.depths[index]!,
    rules: rulesOf(index),
  }));
}

/** Cuts a block into blocks of at most so many directories, in the same order. */
export function splitBlock(block: DirectoryBlock, mostTasks: number): DirectoryBlock[] {
  const tasks = unpackBlock(block);
  const blocks: DirectoryBlock[] = [];
  for (let from = 0; from < tasks.length; from += mostTasks) {
    blocks.push(packBlock(tasks.slice(from, from + mostTasks)));
  }
  return blocks;
}

export function blockMemory(block: DirectoryBlock): ArrayBuffer[] {
  const { slots, parents, depths, rows, rowEnds, paths, pathEnds } = block;
  return memoryOf(slots, parents, depths, rows, rowEnds, paths, pathEnds);
}
