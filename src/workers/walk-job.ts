/**
 * The walk job: lists directories in pre-order (names in byte order) until it has seen enough entries. A listing is
 * settled, and gets a skip hash, only if no entry in it changed in the two seconds before it was read.
 */
import { createHash } from 'node:crypto';
import { requireSystemCode } from '../errors/index.js';
import {
  Excluder,
  filterListing,
  type LeftOut,
  type RuleLink,
  type RuleProblem,
} from '../excludes/index.js';
import {
  BytesBuilder,
  EntryType,
  holdsDevice,
  identityIn,
  joinPath,
  releaseAll,
  releaseMemory,
  RowFlag,
  RowReader,
  type SlotNumber,
} from '../model/index.js';
import { OpenedPlace, type System } from '../system/index.js';
import { transferOf } from './block-builder.js';
import {
  blockMemory,
  type DirectoryTask,
  itemsOfPath,
  packBlock,
  unpackBlock,
} from './directory-block.js';
import { type Inspected, inspectRows, nowNs, unreadableFailures } from './inspect.js';
import type { Failure, OpenDirectory, JobResult, WalkInput, WalkOutput } from './jobs.js';
import { LargeDirectory, MOST_NAMES } from './large-directory.js';
import { OwnerNames } from './owner-names.js';

const HASH_BYTES = 32;

/** The part of a listing that is not left out. */
interface KeptListing {
  readonly listing: Buffer;
  /** Rules for the directories below. */
  readonly rules: RuleLink | undefined;
  /** True if every rule file could be read. */
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
  private readonly large: OpenDirectory[] = [];
  private readonly failures: Failure[] = [];
  private readonly excluder: Excluder;
  private readonly leftOutPaths: LeftOut[] = [];
  /** Copied listings, whose memory is freed explicitly. The garbage collector of a thread would free it late. */
  private readonly spent: Buffer[] = [];
  private leftOut = 0;
  private readonly notEntered: Buffer[] = [];
  private readonly owners: OwnerNames;
  private entries = 0;
  /** Items that the walked directories count for, beside their entries. */
  private pathItems = 0;
  private fileBytes = 0;
  private nextSlot: SlotNumber;

  constructor(
    private readonly input: WalkInput,
    private readonly system: System,
  ) {
    this.stack = unpackBlock(input.tasks);
    this.nextSlot = input.firstFreeSlot;
    this.excluder = new Excluder(input.excludes, system);
    this.owners = new OwnerNames(system);
  }

  run(): void {
    // Directories count too, so that many empty ones do not make one endless job.
    while (this.entries + this.pathItems < this.input.maxEntries) {
      const task = this.stack.pop();
      if (task === undefined) return;
      this.visit(task);
    }
  }

  private visit(task: DirectoryTask): void {
    const startNs = nowNs(this.system);
    try {
      const file = this.input.files?.[task.slot];
      if (file !== undefined) {
        this.visitFile(task, Buffer.from(file), startNs);
        return;
      }
      const listed = this.system.native.listOrHold(task.path, MOST_NAMES, task.identity);
      if (typeof listed === 'number') this.visitLarge(task, listed);
      else this.visitListed(task, listed, startNs);
    } catch (error) {
      this.fail(task, error);
    }
  }

  /** Reads a root that is a file. No other entry of its directory is read. */
  private visitFile(task: DirectoryTask, name: Buffer, startNs: bigint): void {
    const { native } = this.system;
    using directory = new OpenedPlace(native, task);
    const listing =
      this.input.readsDevices === true
        ? native.contentsAt(directory.fd, name)
        : native.statAt(directory.fd, name);
    const row = new RowReader(listing);
    if (row.type(0) === EntryType.directory) {
      this.failAt(task, 'unreadable', 'it is a directory now');
      return;
    }
    // The times of a device's node say nothing about its contents, so these are always read again.
    const isCertain = !holdsDevice(row, 0);
    if (!isCertain) row.setFlags(0, row.flags(0) | RowFlag.unsettled);
    this.visitKept(task, { listing, rules: undefined, isCertain }, startNs);
  }

  private visitListed(task: DirectoryTask, listed: Buffer, startNs: bigint): void {
    const kept = this.keep(task, listed);
    if (kept.listing !== listed) this.spent.push(listed);
    this.visitKept(task, kept, startNs);
  }

  private visitKept(task: DirectoryTask, kept: KeptListing, startNs: bigint): void {
    const { listing, rules, isCertain } = kept;
    const rows = new RowReader(listing);
    const inspected = this.inspect(task, listing, startNs);
    const { unreadable } = inspected;
    if (unreadable.length > 0)
      this.failures.push(...unreadableFailures(this.system, task, rows, unreadable));
    const isSettled = inspected.isSettled && isCertain;
    this.enter(this.childrenIn(rows, inspected, task, rules));
    this.addWalked(task);
    this.hashes.append(isSettled ? this.system.native.hashRows(listing) : NO_HASH);
    if (!this.listings.adopt(listing)) this.spent.push(listing);
    this.listingEnds.push(this.listings.length);
  }

  /** Reads only the hash and the children of a large directory; see LargeDirectory. */
  private visitLarge(task: DirectoryTask, held: number): void {
    const { native } = this.system;
    try {
      const { path, identity, parent, rules } = task;
      const isRoot = parent < 0;
      const { reportsPaths } = this.input.excludes;
      const about = { path, identity, rules, isRoot };
      const directory = new LargeDirectory(this.system, this.excluder, {
        task: about,
        held,
        reportsPaths,
      });
      const below = directory.decider === undefined ? rules : directory.decider.rules;
      const children: DirectoryTask[] = [];
      const pages = createHash('sha256');
      let entries = 0;
      let isSettled = this.noteProblems(task, directory.decider?.problems ?? []);
      for (let [from, isLast] = [0, false]; !isLast; ) {
        const startNs = nowNs(this.system);
        const page = directory.page(from);
        const rows = new RowReader(page.listing);
        const inspected = this.inspect(task, page.listing, startNs);
        isSettled &&= inspected.isSettled;
        entries += inspected.entries;
        this.reportLeftOut(page.leftOut, page.reported);
        children.push(...this.childrenIn(rows, inspected, task, below));
        pages.update(native.hashRows(page.listing));
        releaseMemory(page.listing);
        ({ next: from, isLast } = page);
      }
      this.enter(children);
      this.large.push({ index: this.walked.length, held, entries });
      this.addWalked(task);
      this.hashes.append(isSettled ? pages.digest() : NO_HASH);
      this.listingEnds.push(this.listings.length);
    } catch (error) {
      native.dropNames(held);
      throw error;
    }
  }

  private addWalked(task: DirectoryTask): void {
    this.walked.push(task);
    this.pathItems += itemsOfPath(task.path.length);
  }

  private inspect({ identity }: DirectoryTask, listing: Buffer, startNs: bigint): Inspected {
    const about = { startNs, directory: identity };
    const inspected = inspectRows(this.system, listing, about, this.owners);
    this.entries += inspected.entries;
    this.fileBytes += inspected.fileBytes;
    return inspected;
  }

  /** Returns the directories to walk among some rows, in their order. */
  private childrenIn(
    rows: RowReader,
    { directories, identities }: Inspected,
    task: DirectoryTask,
    rules: RuleLink | undefined,
  ): DirectoryTask[] {
    const { crossDevices = false, maxDepth = 0, slotStride } = this.input;
    const depth = (task.depth ?? 0) + 1;
    if (maxDepth > 0 && depth >= maxDepth) return [];
    const children: DirectoryTask[] = [];
    for (let index = 0; index < directories.length; index += 1) {
      const at = directories[index]!;
      // The mount point of another file system is kept, but not entered.
      const path = joinPath(task.path, rows.name(at));
      if ((rows.flags(at) & RowFlag.otherDevice) !== 0 && !crossDevices) {
        this.notEntered.push(path);
        continue;
      }
      const row = Buffer.from(rows.row(at));
      const identity = identityIn(identities, index);
      children.push({ slot: this.nextSlot, parent: task.slot, path, row, identity, depth, rules });
      this.nextSlot += slotStride;
    }
    return children;
  }

  private enter(children: readonly DirectoryTask[]): void {
    for (let index = children.length - 1; index >= 0; index -= 1) this.stack.push(children[index]!);
  }

  private keep(task: DirectoryTask, listing: Buffer): KeptListing {
    const { path, identity, rules } = task;
    const rows = new RowReader(listing);
    const isRoot = task.parent < 0;
    const decider = this.excluder.enter({ path, identity, rules, rows, isRoot });
    if (decider === undefined) return { listing, rules, isCertain: true };
    const { reportsPaths } = this.input.excludes;
    const {
      listing: kept,
      leftOut,
      reported,
    } = filterListing(decider, path, listing, reportsPaths);
    this.reportLeftOut(leftOut, reported);
    const isCertain = this.noteProblems(task, decider.problems);
    return { listing: kept, rules: decider.rules, isCertain };
  }

  private reportLeftOut(leftOut: number, reported: readonly LeftOut[]): void {
    this.leftOut += leftOut;
    for (const each of reported) this.leftOutPaths.push(each);
  }

  /** Records unreadable rule files. Returns false if there are any, since their rules are unknown. */
  private noteProblems({ path, slot }: DirectoryTask, problems: readonly RuleProblem[]): boolean {
    for (const { name, reason } of problems) {
      const file = joinPath(path, name);
      this.failures.push({ slot, name, path: file, what: 'unreadable', reason });
    }
    return problems.length === 0;
  }

  private fail(task: DirectoryTask, error: unknown): void {
    const code = requireSystemCode(error);
    const isGone = (code === 'ENOENT' || code === 'ENOTDIR') && !this.isThere(task.path);
    this.failAt(task, isGone ? 'vanished' : 'unreadable', code);
  }

  private failAt(task: DirectoryTask, what: 'vanished' | 'unreadable', reason: string): void {
    const name = Buffer.from(new RowReader(task.row).name(0));
    const file = this.input.files?.[task.slot];
    const path = file === undefined ? task.path : joinPath(task.path, Buffer.from(file));
    this.failures.push({ slot: task.parent, name, path, what, reason });
  }

  /**
   * True unless a directory is certainly gone. A directory may exist although listing it failed with ENOENT, for
   * example if autofs cannot mount it. Another error of the check proves nothing.
   */
  private isThere(path: Buffer): boolean {
    try {
      const row = this.system.native.statRow(path, path, true);
      return new RowReader(row).type(0) === EntryType.directory;
    } catch (error) {
      const code = requireSystemCode(error);
      return code !== 'ENOENT' && code !== 'ENOTDIR';
    }
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
      notEntered: this.notEntered,
    };
    releaseAll(this.spent);
    const { hashes, listings, listingEnds } = output;
    const transfer = [
      ...blockMemory(walked),
      ...blockMemory(pending),
      ...transferOf(hashes, listings, listingEnds),
    ];
    return { output, transfer };
  }
}

const NO_HASH = Buffer.alloc(HASH_BYTES);
