/**
 * Runs some jobs on threads of libuv's pool, by calls of the addon. These threads share the memory of the process, whereas
 * a worker thread has its own heap and compiled code. All other jobs are left to another runner.
 */
import type { MessagePort } from 'node:worker_threads';
import type { LoadedSignature } from '../delta/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { Credit, type SealingCalls, type System } from '../system/index.js';
import type {
  JobInput,
  JobName,
  JobRunner,
  RangeInput,
  RangeOutput,
  RecentDigests,
  TimedOutput,
} from './jobs.js';

/** Memory that a job takes over. */
export type Transfer = readonly (ArrayBuffer | MessagePort)[];

export abstract class AsideJobs implements JobRunner {
  private readonly turns: Credit;
  private readonly running = new Set<Promise<unknown>>();
  protected readonly system: System;
  protected readonly others: JobRunner;

  /** Runs `threads` jobs at once. `others` runs everything else, and is closed with this runner. */
  constructor(system: System, threads: number, others: JobRunner) {
    this.system = system;
    this.others = others;
    this.turns = new Credit(threads);
  }

  /** Name of the work of a job, for its errors. */
  protected abstract readonly doing: string;
  /** Name of what ends when this runner is closed. */
  protected abstract readonly whole: string;

  /** Returns the work of a job; undefined if the job is left to the other runner. */
  protected abstract workOf<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: Transfer,
  ): (() => Promise<TimedOutput<JobName>>) | undefined;

  /** Frees what the jobs that have ended left behind. */
  protected release(): void {
    // Most leave nothing.
  }

  async run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: Transfer = [],
  ): Promise<TimedOutput<N>> {
    const work = this.workOf(name, input, transfer);
    if (work === undefined) return this.others.run(name, input, transfer);
    const done = this.inTurn(work);
    this.running.add(done);
    try {
      return (await done) as TimedOutput<N>;
    } catch (error) {
      throw asTardisError(error, this.doing);
    } finally {
      this.running.delete(done);
    }
  }

  runRange(
    input: RangeInput,
    windowChunks: number,
    onChunk: (chunk: Uint8Array) => Promise<void>,
  ): Promise<RangeOutput> {
    return this.others.runRange(input, windowChunks, onChunk);
  }

  loadSignature(basisBytes: number, signedBytes?: number): LoadedSignature {
    return this.others.loadSignature(basisBytes, signedBytes);
  }

  get native(): SealingCalls {
    return this.others.native;
  }

  get recent(): RecentDigests {
    return this.others.recent;
  }

  /** Ends once the jobs that run have ended; those that wait are rejected. */
  async close(): Promise<void> {
    this.turns.fail(new TardisError('INTERRUPTED', `${this.whole} ends`));
    await Promise.allSettled(this.running);
    this.release();
    await this.others.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    await this.turns.take(1);
    try {
      return await work();
    } finally {
      this.turns.give(1);
    }
  }
}
