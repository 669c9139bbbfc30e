/**
 * A stage of the pipeline: work on items with limited concurrency, with counters of items, bytes and time. RxJS has no
 * backpressure: `mergeMap` would queue without limit. So the source takes from the budget before it emits, which limits
 * every queue between stages.
 */
import {
  from,
  map,
  mergeMap,
  type Observable,
  type ObservableInput,
  type OperatorFunction,
  tap,
} from 'rxjs';

export interface StageFigures {
  readonly name: string;
  readonly concurrency: number;
  readonly items: number;
  readonly bytes: number;
  /** Time spent working, summed over all concurrent work. */
  readonly busyMs: number;
  /** Time for which items waited in the stage: for their turn, for a thread, for the budget or for an answer. */
  readonly waitingMs: number;
}

export class StageCounters {
  items = 0;
  bytes = 0;
  busyMs = 0;
  /** Time for which items were in the stage, working or waiting. */
  private elapsedMs = 0;

  constructor(
    readonly name: string,
    /** Maximum number of items worked on at once. */
    public concurrency: number,
  ) {}

  /** Counts work. `host`: the stage whose job did this work, if that is another stage. */
  count(items: number, bytes: number, busyMs: number, host: StageCounters = this): void {
    this.items += items;
    this.bytes += bytes;
    this.busyMs += busyMs;
    if (host === this) return;
    this.elapsedMs += busyMs;
    host.elapsedMs -= busyMs;
  }

  /**
   * Counts the time for which an item was in the stage. `stage` calls this, for the time up to the result of the work.
   */
  passed(elapsedMs: number): void {
    this.elapsedMs += elapsedMs;
  }

  /** Does work in the stage, and counts the time that it takes. */
  async passing<T>(work: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    const result = await work();
    this.passed(performance.now() - startMs);
    return result;
  }

  /** Runs work in the calling thread, and counts its time as busy. */
  timed<T>(work: () => T): T {
    const startMs = performance.now();
    try {
      return work();
    } finally {
      this.busyMs += performance.now() - startMs;
    }
  }

  figures(): StageFigures {
    const { name, concurrency, items, bytes, busyMs, elapsedMs } = this;
    const waitingMs = Math.max(0, elapsedMs - busyMs); // clocks of two threads may differ
    return { name, concurrency, items, bytes, busyMs, waitingMs };
  }
}

/**
 * Makes a stage: runs `work` on up to `counters.concurrency` items at once. Results are emitted as they are made. The
 * work counts what it has done; the stage counts the time from the arrival of an item to the end of its work.
 */
export function stage<In, Out>(
  counters: StageCounters,
  work: (item: In) => ObservableInput<Out>,
): OperatorFunction<In, Out> {
  const measured = ({ item, arrivedMs }: Arrived<In>): Observable<Out> =>
    from(work(item)).pipe(tap({ complete: () => counters.passed(performance.now() - arrivedMs) }));
  return (source) =>
    source.pipe(
      map((item) => ({ item, arrivedMs: performance.now() })),
      mergeMap(measured, counters.concurrency),
    );
}

interface Arrived<In> {
  readonly item: In;
  readonly arrivedMs: number;
}
