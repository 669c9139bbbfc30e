/**
 * A stage of the pipeline: work on items with a bounded concurrency, counting what passes and where
 * the time goes. RxJS does not push back by itself: `mergeMap` would queue without end, so the source
 * takes from the budget before it emits, and that bounds every queue between stages.
 */
import { mergeMap, type Observable, type OperatorFunction } from 'rxjs';

export interface StageFigures {
  readonly name: string;
  readonly concurrency: number;
  readonly items: number;
  readonly bytes: number;
  /** Time spent working, summed over all that ran at once. */
  readonly busyMs: number;
  /** Time items waited for a free place or thread. */
  readonly waitingMs: number;
}

export class StageCounters {
  items = 0;
  bytes = 0;
  busyMs = 0;
  waitingMs = 0;
  readonly name: string;
  /** How many work at once, at most; a stage may let more items wait in it. */
  concurrency: number;

  constructor(name: string, concurrency: number) {
    this.name = name;
    this.concurrency = concurrency;
  }

  /** Counts work done; `elapsedMs` from handing it over to having it back. */
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

/** Runs `work` on up to `most` items at once, the stage's concurrency; results come as they are ready. */
export function stage<In, Out>(
  counters: StageCounters,
  work: (item: In) => Promise<Out>,
  most: number = counters.concurrency,
): OperatorFunction<In, Out> {
  return (source: Observable<In>) => source.pipe(mergeMap(work, most));
}
