/**
 * Runs the first jobs in the calling thread, and starts a pool of threads once there is enough work for one, or for a large
 * file. A thread takes 0.05 s of CPU time to start (measured), in which a small tree is backed up.
 */
import { forEachRow, RowReader } from '../model/index.js';
import { LEFT_NUMBERS, type System } from '../system/index.js';
import { InlineJobs } from './inline.js';
import type { JobInput, JobName, RangeInput, RangeOutput, TimedOutput } from './jobs.js';
import type { JobPool, PoolOptions } from './pool.js';
import type { SharedDigests } from './recent-digests.js';
import { JobRunner, type OnChunk, type Transfer } from './job-runner.js';
import type { RestoreInput } from './restore-types.js';

/** Time that jobs take in the calling thread before a pool is started. */
const ENOUGH_WORK_MS = 30;

/** Maximum size of the files of a restore job that runs in the calling thread. */
const MOST_HERE_BYTES = 8 << 20;

export interface GrowingOptions extends PoolOptions {
  /** Time that jobs take in the calling thread before a pool is started; by default ENOUGH_WORK_MS. */
  readonly enoughWorkMs?: number | undefined;
}

export class GrowingJobs extends JobRunner {
  private readonly inline: InlineJobs;
  private starting: Promise<JobPool> | undefined;
  /** The pool, once its first thread runs. */
  private pool: JobPool | undefined;
  private busyMs = 0;
  private isGrowing = false;
  private isClosed = false;

  constructor(
    private readonly system: System,
    private readonly options: GrowingOptions,
  ) {
    super(system.native);
    this.inline = new InlineJobs(system, options.recentDigests);
  }

  get recent(): SharedDigests {
    return this.inline.recent;
  }

  async run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: Transfer = [],
  ): Promise<TimedOutput<N>> {
    if (this.pool !== undefined) return this.pool.run(name, input, transfer);
    if (name === 'restore' && sizeOf(input as RestoreInput) > MOST_HERE_BYTES) {
      return (await this.start()).run(name, input, transfer);
    }
    const done = await this.inline.run(name, input, transfer);
    this.busyMs += done.busyMs;
    if (this.busyMs >= (this.options.enoughWorkMs ?? ENOUGH_WORK_MS)) this.growSoon();
    return done;
  }

  /** Reads a large file, always in a thread of the pool. In the calling thread it would block all other work. */
  async runRange(input: RangeInput, windowChunks: number, onChunk: OnChunk): Promise<RangeOutput> {
    const pool = this.pool ?? (await this.start());
    return pool.runRange(input, windowChunks, onChunk);
  }

  stopRanges(): void {
    this.starting?.then(
      (pool) => pool.stopRanges(),
      () => undefined, // no pool, no ranges
    );
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.inline.close();
    const pool = await this.starting?.catch(() => undefined); // its failure was reported, or concerns nothing now
    await pool?.close();
  }

  /**
   * Starts the pool unless a large file has started it. Jobs run in this thread until the pool is ready, and then in
   * the pool.
   */
  private growSoon(): void {
    if (this.isGrowing || this.isClosed) return;
    this.isGrowing = true;
    this.start()
      .then(async (pool) => {
        await pool.loaded;
        this.pool = pool;
      })
      .catch(() => undefined); // this thread goes on with the jobs; a job that needs a thread reports the failure
  }

  private start(): Promise<JobPool> {
    this.starting ??= this.open();
    return this.starting;
  }

  private async open(): Promise<JobPool> {
    const { JobPool: Pool } = await import('./pool.js');
    return new Pool(this.system, { ...this.options, recent: this.recent });
  }
}

/** Returns the size of the files that a restore job restores. */
function sizeOf({ rows, undecided }: RestoreInput): number {
  const reader = new RowReader(rows);
  let sizeBytes = 0;
  const add = (at: number): void => {
    sizeBytes += reader.sizeBytes(at);
  };
  if (undecided === undefined) forEachRow(reader, add);
  else for (let index = 1; index < undecided.length; index += LEFT_NUMBERS) add(undecided[index]!);
  return sizeBytes;
}
