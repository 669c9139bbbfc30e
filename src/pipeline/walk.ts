/** The walk stage, which is the source of the pipeline. */
import { concatMap, lastValueFrom, Observable, type Subscriber } from 'rxjs';
import type { ExcludeOptions } from '../excludes/index.js';
import type { SlotNumber } from '../model/index.js';
import {
  itemsOfPath,
  runOf,
  splitBlock,
  type WalkInput,
  type WalkOutput,
} from '../workers/index.js';
import type { Context, Flight } from './context.js';
import type { Counters } from './counters.js';
import type { LostPlaces, Presence } from './presence.js';
import type { StreamedFile } from './send-streams.js';
import { stage } from './stage.js';

/** Number of entries after which a walk job ends and returns its results. */
const WALK_JOB_ENTRIES = 2048;

export interface WalkOptions {
  readonly start: WalkInput['tasks'];
  readonly firstFreeSlot: SlotNumber;
  /** For each slot of a root that is a file, the name of that file. Nothing else in its directory is read. */
  readonly files?: WalkInput['files'];
  /** True if the contents of block devices among `files` are read. */
  readonly readsDevices?: boolean;
  readonly excludes: ExcludeOptions;
  /** True to enter other file systems below the roots. */
  readonly crossDevices?: boolean;
  readonly maxDepth?: number;
  /** Detects roots that disappear; undefined if no root can disappear. */
  readonly presence?: Presence;
  /** Files that are no part of the walk: what commands write, and standard input. */
  readonly streams?: readonly StreamedFile[];
}

/**
 * Maximum number of directories given to a walk job. The job returns those that it does not reach. Returning too many
 * costs more than another job.
 */
const MOST_TASKS = 256;
/** Maximum number of directories for each of several concurrent jobs, so that each job gets some. */
const SHARED_TASKS = 64;

/** One of the walk jobs that run at once. */
interface Lane {
  nextFreeSlot: SlotNumber;
  /** The directories that this job walks next. */
  tasks: WalkInput['tasks'] | undefined;
}

/** The part of the context that a walk needs, also a walk without a pipeline. */
interface WalkContext extends Pick<Context, 'jobs' | 'sources' | 'budget' | 'progress'> {
  readonly counters: Pick<Counters, 'walk'>;
  readonly flight: Pick<Flight, 'starve' | 'enterBatch'>;
  readonly places?: LostPlaces;
}

/**
 * The walk stage: emits batches of listed directories. It runs up to `walkConcurrency` jobs, each of some thousand
 * entries. Nothing queues: it takes the entries of a batch from the budget before it emits them, so it stops walking
 * while too much is in flight. With one walk job at a time the batches are in walk order; with several, each job walks
 * a part of the known directories.
 */
export function walk(context: WalkContext): Observable<WalkOutput> {
  const walker = new Walker(context);
  return walker.turns.pipe(stage(context.counters.walk, (lane) => walker.walk(lane)));
}

class Walker {
  /** Emits the lanes that may walk next. Completes when no directory is left. */
  readonly turns: Observable<Lane>;
  private subscriber: Subscriber<Lane> | undefined;
  private readonly idle: Lane[];
  private readonly lanes: number;
  private readonly pending: PendingDirectories;
  /** Paths of the roots that are directories. They are walked as roots, also if they are mount points below others. */
  private readonly roots = new Set<string>();

  constructor(private readonly context: WalkContext) {
    const { sources, counters } = context;
    const { slots, paths, pathEnds } = sources.start;
    for (const [index, slot] of slots.entries()) {
      if (sources.files?.[slot] === undefined)
        this.roots.add(textOf(runOf(paths, pathEnds, index)));
    }
    this.lanes = counters.walk.concurrency;
    const mostTasks = this.lanes === 1 ? MOST_TASKS : SHARED_TASKS;
    this.pending = new PendingDirectories(sources.start, mostTasks);
    // Each lane uses every n-th slot, so that no slot is used twice.
    this.idle = Array.from({ length: this.lanes }, (_, index) => ({
      nextFreeSlot: sources.firstFreeSlot + index,
      tasks: undefined,
    }));
    this.turns = new Observable((subscriber) => {
      this.subscriber = subscriber;
      this.giveTurns();
    });
  }

  /** Walks in one job, and returns its batch when the budget has the entries. */
  async walk(lane: Lane): Promise<WalkOutput> {
    const { jobs, budget, progress, flight, places } = this.context;
    const walked = await this.job(lane);
    const output =
      (await places?.walked(walked, (held) => jobs.run('dropNames', { held }))) ?? walked;
    progress.directories += output.walked.slots.length;
    progress.entries += output.entries;
    progress.scannedBytes += output.fileBytes;
    progress.leftOut += output.leftOut;
    for (const path of output.notEntered) {
      if (!this.roots.has(textOf(path))) progress.notEntered.add(path);
    }
    const granted = budget.items.take(itemsOf(output));
    if (granted !== undefined) {
      flight.starve();
      await granted;
    }
    flight.enterBatch(granted !== undefined);
    this.pending.add(output.pending);
    this.idle.push(lane);
    this.giveTurns();
    return output;
  }

  private async job(lane: Lane): Promise<WalkOutput> {
    const { jobs, sources, counters } = this.context;
    const {
      excludes,
      files = {},
      readsDevices = false,
      crossDevices = false,
      maxDepth = 0,
    } = sources;
    const slots = { firstFreeSlot: lane.nextFreeSlot, slotStride: this.lanes };
    const limits = { maxEntries: WALK_JOB_ENTRIES, crossDevices, maxDepth };
    const tasks = lane.tasks!;
    const { output, busyMs } = await jobs.run('walk', {
      tasks,
      ...slots,
      ...limits,
      excludes,
      files,
      readsDevices,
    });
    counters.walk.count(output.entries, output.listings.length, busyMs);
    lane.nextFreeSlot = output.nextFreeSlot;
    return output;
  }

  /** Gives directories to idle lanes. */
  private giveTurns(): void {
    const { idle, pending, subscriber } = this;
    while (pending.count > 0 && idle.length > 0) {
      const lane = idle.pop()!;
      lane.tasks = pending.take();
      subscriber?.next(lane);
    }
    if (idle.length < this.lanes) return;
    this.context.progress.isWalkDone = true;
    subscriber?.complete();
  }
}

/**
 * Walks without a pipeline. Calls `take` with one batch at a time; `take` returns the batch's items to the budget.
 */
export async function walkAlone(
  context: WalkContext,
  take: (batch: WalkOutput) => Promise<void>,
): Promise<void> {
  await lastValueFrom(walk(context).pipe(concatMap(take)), { defaultValue: undefined });
}

function textOf(path: Uint8Array): string {
  return Buffer.from(path).toString('latin1');
}

/** A stack of blocks of directories still to be walked. */
class PendingDirectories {
  private readonly blocks: WalkInput['tasks'][] = [];

  /**
   * `mostTasks`: the maximum number of directories for one job, since those that it does not reach must be packed
   * again.
   */
  constructor(
    start: WalkInput['tasks'],
    private readonly mostTasks: number,
  ) {
    this.add(start);
  }

  get count(): number {
    return this.blocks.length;
  }

  add(block: WalkInput['tasks']): void {
    const { length } = block.slots;
    if (length > this.mostTasks) {
      for (const part of splitBlock(block, this.mostTasks)) this.blocks.push(part);
    } else if (length > 0) this.blocks.push(block);
  }

  /** Removes and returns the directories on top of the stack. */
  take(): WalkInput['tasks'] {
    return this.blocks.pop()!;
  }
}

/** Returns the number of items that a batch takes from the budget: its entries and its directories, by their paths. */
export function itemsOf({ entries, walked: { pathEnds } }: WalkOutput): number {
  let items = entries;
  for (let from = 0, index = 0; index < pathEnds.length; from = pathEnds[index]!, index += 1) {
    items += itemsOfPath(pathEnds[index]! - from);
  }
  return items;
}
