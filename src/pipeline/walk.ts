/**
 * The walk stage: the source of the pipeline. It takes the entries it found from the budget before it
 * hands them on, so it stops walking when too much is in flight.
 */
import type { JobRunner, WalkInput, WalkOutput } from '../workers/index.js';
import type { Budget } from './budget.js';
import type { BackupProgress } from './progress.js';
import type { StageCounters } from './stage.js';

/** Entries after which a walk job ends and hands on what it has. */
const WALK_JOB_ENTRIES = 2048;

export interface WalkOptions {
  readonly start: WalkInput['tasks'];
  readonly firstFreeSlot: number;
  readonly excludes: readonly string[];
}

/** Yields batches of listed directories in walk order, as the budget allows. */
export async function* walkBatches(
  jobs: JobRunner,
  options: WalkOptions,
  budget: Budget,
  counters: StageCounters,
  progress: BackupProgress,
  onStarving: () => void,
): AsyncGenerator<WalkOutput> {
  let tasks = options.start;
  let firstFreeSlot = options.firstFreeSlot;
  while (tasks.slots.length > 0) {
    const startMs = performance.now();
    const { excludes } = options;
    const input: WalkInput = { tasks, firstFreeSlot, maxEntries: WALK_JOB_ENTRIES, excludes };
    const { output, busyMs } = await jobs.run('walk', input);
    tasks = output.pending;
    firstFreeSlot = output.nextFreeSlot;
    counters.count(output.entries, output.listings.length, busyMs, performance.now() - startMs);
    progress.directories += output.walked.slots.length;
    progress.entries += output.entries;
    progress.scannedBytes += output.fileBytes;
    const granted = budget.items.take(itemsOf(output));
    if (granted !== undefined) {
      onStarving();
      await granted;
    }
    yield output;
  }
  progress.isWalkDone = true;
}

/** What a batch takes from the budget: its entries and its directories. */
export function itemsOf(batch: WalkOutput): number {
  return batch.entries + batch.walked.slots.length;
}
