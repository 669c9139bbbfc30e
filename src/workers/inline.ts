/**
 * Runs jobs in the calling thread, one at a time and in order. This serves tests that must be deterministic, and
 * machines with too little memory for threads.
 */
import { setImmediate } from 'node:timers/promises';
import { asTardisError, TardisError } from '../errors/index.js';
import type { System } from '../system/index.js';
import { releaseMoved } from './block-builder.js';
import type { JobInput, JobName, RangeInput, RangeOutput, TimedOutput } from './jobs.js';
import { type JobContext, JobMemory } from './job-context.js';
import { rangeJob } from './range-job.js';
import { SharedDigests } from './recent-digests.js';
import { JobRunner, type OnChunk, type Transfer } from './job-runner.js';
import { runJob } from './run-job.js';

export class InlineJobs extends JobRunner {
  readonly recent: SharedDigests;
  private last: Promise<unknown> = Promise.resolve();
  private readonly context: JobContext;
  private isStopped = false;

  constructor(
    private readonly system: System,
    recentDigests = 1024,
  ) {
    super(system.native);
    this.recent = SharedDigests.create(recentDigests);
    this.context = { system, recent: this.recent, memory: new JobMemory() };
  }

  async run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: Transfer = [],
  ): Promise<TimedOutput<N>> {
    return this.inTurn(async () => {
      const startMs = performance.now();
      const { output } = await runJob(name, input, this.context);
      releaseMoved(transfer);
      return { output, busyMs: performance.now() - startMs };
    });
  }

  async runRange(input: RangeInput, windowChunks: number, onChunk: OnChunk): Promise<RangeOutput> {
    return this.inTurn(async () => {
      const chunks = rangeJob(input, this.system);
      const open: Promise<void>[] = [];
      try {
        for (;;) {
          const next = chunks.next();
          if (next.done === true) {
            await Promise.all(open);
            return next.value;
          }
          if (this.isStopped) throw new TardisError('INTERRUPTED', 'the session is over');
          if (next.value.length === 0) {
            await setImmediate(); // serves sockets and signals
            continue;
          }
          const taken = onChunk(next.value);
          taken.catch(() => undefined); // rejects where it is awaited, unless an earlier one failed
          open.push(taken);
          if (open.length >= windowChunks) await open.shift();
        }
      } finally {
        chunks.return({} as RangeOutput); // closes the file if the caller stops early
      }
    });
  }

  stopRanges(): void {
    this.isStopped = true;
  }

  async close(): Promise<void> {
    await this.last;
    this.context.memory.release();
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    // Sockets are served between jobs, so that many jobs in one thread do not delay them.
    const done = this.last.then(() => setImmediate()).then(work);
    this.last = done.catch(() => undefined); // the caller gets the error
    return done.catch((error: unknown) => {
      throw asTardisError(error);
    });
  }
}
