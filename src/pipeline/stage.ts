/**
 * A stage of the pipeline: work on items with limited concurrency, with counters of items, bytes and time. RxJS has no
 * backpressure: `mergeMap` would queue without limit. So the source takes from the budget before it emits, which limits
 * every queue between stages.
 */
import { mergeMap, type Observable, type OperatorFunction } from 'rxjs';

export interface StageFigures {
  readonly name: string;
  readonly concurrency: number;
  readonly items: number;
  readonly bytes: number;
  /** Time spent working, summed over all concurrent work. */
  readonly busyMs: number;
  /** Time that items waited for a free slot or thread. */
  readonly waitingMs: number;
}

export class StageCounters {
  items = 0;
  bytes = 0;
  busyMs = 0;
  waitingMs = 0;
  readonly name: string;
  /** Largest number of items worked on at once. A stage may admit more, which wait in it. */
  concurrency: number;

  constructor(name: string, concurrency: number) {
    this.name = name;
    this.concurrency = concurrency;
  }

  /** Counts completed work. `elapsedMs` is the time from the start of a job to its result. */
  count(items: number, bytes: number, busyMs: number, elapsedMs: number): void {
    this.items += items;
    this.bytes += bytes;
    this.busyMs += busyMs;
    this.waitingMs += Math.max(0, elapsedMs - busyMs);
  }

  figures(): StageFigures {
    const { name, concurrency, items, bytes, busyMs, waitingMs } = this;
    return { name, concurrency, items, bytes, busyMs, waitingMs };
  }
}

/**
 * Runs `work` on up to `most` items at once; the default is the stage's concurrency. Results are emitted as they
 * finish.
 */
export function stage<In, Out>(
  counters: StageCounters,
  work: (item: In) => Promise<Out>,
  most: number = counters.concurrency,
): OperatorFunction<In, Out> {
  return (source: Observable<In>) => source.pipe(mergeMap(work, most));
}
