/** The walk stage, which is the source of the pipeline. */
import { from, type Observable, tap } from 'rxjs';
import type { ExcludeOptions } from '../excludes/index.js';
import type { SlotNumber } from '../model/index.js';
import { splitBlock, type WalkInput, type WalkOutput } from '../workers/index.js';
import type { Context } from './context.js';
import type { Counters } from './counters.js';
import type { Flight } from './flight.js';
import type { LostPlaces, Presence } from './presence.js';

/** Number of entries after which a walk job ends and returns its results. */
const WALK_JOB_ENTRIES = 2048;

export interface WalkOptions {
  readonly start: WalkInput['tasks'];
  readonly firstFreeSlot: SlotNumber;
  /** See WalkInput. */
  readonly files?: WalkInput['files'];
  readonly excludes: ExcludeOptions;
  /** See WalkInput. */
  readonly crossDevices?: boolean;
  readonly maxDepth?: number;
  /** Detects roots that disappear; absent if none can. */
  readonly presence?: Presence;
}

/**
 * Largest number of directories given to a walk job. It returns those it does not reach; too many of them cost more
 * than another job.
 */
const MOST_TASKS = 256;
/** Limit for several concurrent jobs, so that each finds some directories. */
const SHARED_TASKS = 64;

interface Lane {
  nextFreeSlot: SlotNumber;
}

interface Walked {
  readonly lane: Lane;
  readonly output: WalkOutput;
}

/** The part of the context that a walk needs; a walk of its own needs no more. */
export interface WalkContext extends Pick<Context, 'jobs' | 'sources' | 'budget' | 'progress'> {
  readonly counters: Pick<Counters, 'walk'>;
  readonly flight: Pick<Flight, 'starve'>;
  readonly places?: LostPlaces;
}

/**
 * The walk stage: emits batches of listed directories. It runs up to `walkConcurrency` jobs, each of some thousand
 * entries. Nothing queues: it takes the entries of a batch from the budget before it emits them, so it stops walking
 * while too much is in flight.
 */
export function walk(context: Context): Observable<WalkOutput> {
  return from(walkBatches(context)).pipe(tap(() => context.flight.enterBatch()));
}

/**
 * Yields batches of listed directories as the budget allows. With one walk job at a time they are in walk order; with
 * several, each job walks a part of the known directories.
 */
export async function* walkBatches(context: WalkContext): AsyncGenerator<WalkOutput> {
  const { jobs, sources, budget, progress, places } = context;
  const slotStride = context.counters.walk.concurrency;
  const mostTasks = slotStride === 1 ? MOST_TASKS : SHARED_TASKS;
  const pending = new PendingDirectories(sources.start, mostTasks);
  // Each lane uses every n-th slot, so that no slot is used twice.
  const idle: Lane[] = Array.from({ length: slotStride }, (_, index) => ({
    nextFreeSlot: sources.firstFreeSlot + index,
  }));
  const running = new Map<Lane, Promise<Walked>>();
  for (;;) {
    while (pending.count > 0 && idle.length > 0) {
      const lane = idle.pop()!;
      const job = walkIn(context, lane, pending.take());
      job.catch(() => undefined); // the race below throws the first error; others may follow
      running.set(lane, job);
    }
    if (running.size === 0) break;
    const { lane, output: walked } = await Promise.race(running.values());
    running.delete(lane);
    idle.push(lane);
    lane.nextFreeSlot = walked.nextFreeSlot;
    const output =
      (await places?.walked(walked, (held) => jobs.run('dropNames', { held }))) ?? walked;
    pending.add(output.pending);
    progress.directories += output.walked.slots.length;
    progress.entries += output.entries;
    progress.scannedBytes += output.fileBytes;
    progress.leftOut += output.leftOut;
    const granted = budget.items.take(itemsOf(output));
    if (granted !== undefined) {
      context.flight.starve();
      await granted;
    }
    yield output;
  }
  progress.isWalkDone = true;
}

async function walkIn(
  { jobs, sources, counters }: WalkContext,
  lane: Lane,
  tasks: WalkInput['tasks'],
): Promise<Walked> {
  const startMs = performance.now();
  const { excludes, files = {}, crossDevices = false, maxDepth = 0 } = sources;
  const slots = { firstFreeSlot: lane.nextFreeSlot, slotStride: counters.walk.concurrency };
  const limits = { maxEntries: WALK_JOB_ENTRIES, crossDevices, maxDepth };
  const input = { tasks, ...slots, ...limits, excludes, files };
  const { output, busyMs } = await jobs.run('walk', input);
  counters.walk.count(output.entries, output.listings.length, busyMs, performance.now() - startMs);
  return { lane, output };
}

/** A stack of blocks of directories still to be walked. */
class PendingDirectories {
  private readonly blocks: WalkInput['tasks'][] = [];
  private readonly mostTasks: number;

  /** No job gets more than `mostTasks` directories, since those it does not reach must be packed again. */
  constructor(start: WalkInput['tasks'], mostTasks: number) {
    this.mostTasks = mostTasks;
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

  /** Returns the directories on top. */
  take(): WalkInput['tasks'] {
    return this.blocks.pop()!;
  }
}

/** Returns the number of items that a batch takes from the budget: its entries and its directories. */
export function itemsOf(batch: WalkOutput): number {
  return batch.entries + batch.walked.slots.length;
}
