/**
 * Runs the jobs for many files on threads of libuv's pool: the job waits in the calling thread while a call of the addon
 * works on another one. These threads share the memory of the process, whereas a worker thread has its own heap and compiled
 * code. All other jobs are left to another runner.
 */
import { asTardisError, TardisError } from '../errors/index.js';
import { Credit, type System } from '../system/index.js';
import { releaseMoved } from './block-builder.js';
import { isMadeByAddon } from './build-records.js';
import { type JobContext, JobMemory } from './job-context.js';
import type {
  BuildInput,
  ReadInput,
  JobInput,
  JobName,
  RangeInput,
  RangeOutput,
  RecentDigests,
  TimedOutput,
} from './jobs.js';
import type { RestoreInput } from './restore-types.js';
import { JobRunner, type OnChunk, type Transfer } from './job-runner.js';
import { runJob } from './run-job.js';

/** True if the addon does nearly all of the work of a job, so that it may wait in the calling thread. */
function isAddons(name: JobName, input: JobInput<JobName>): boolean {
  if (name === 'restore') return !('port' in (input as RestoreInput).source);
  if (name !== 'read' && name !== 'build') return false;
  const { frames, keys } = input as ReadInput | BuildInput;
  return frames === undefined || isMadeByAddon(frames.compression.codec, keys?.scheme);
}

export class LibuvJobs extends JobRunner {
  private readonly turns: Credit;
  private readonly running = new Set<Promise<unknown>>();
  private readonly context: JobContext;

  /** Runs `threads` jobs at once. `others` runs everything else, and is closed with this runner. */
  constructor(
    system: System,
    threads: number,
    private readonly others: JobRunner,
  ) {
    super(others.native);
    this.turns = new Credit(threads);
    this.context = { system, recent: others.recent, memory: new JobMemory(), others };
  }

  async run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: Transfer = [],
  ): Promise<TimedOutput<N>> {
    if (!isAddons(name, input)) return this.others.run(name, input, transfer);
    const done = this.inTurn(name, input);
    this.running.add(done);
    try {
      return await done;
    } catch (error) {
      throw asTardisError(error, 'a job');
    } finally {
      releaseMoved(transfer);
      this.running.delete(done);
    }
  }

  runRange(input: RangeInput, windowChunks: number, onChunk: OnChunk): Promise<RangeOutput> {
    return this.others.runRange(input, windowChunks, onChunk);
  }

  stopRanges(): void {
    this.others.stopRanges();
  }

  get recent(): RecentDigests {
    return this.others.recent;
  }

  /** Ends once the jobs that run have ended; those that wait are rejected. */
  async close(): Promise<void> {
    this.turns.fail(new TardisError('INTERRUPTED', 'the jobs end'));
    await Promise.allSettled(this.running);
    this.context.memory.release();
    await this.others.close();
  }

  private inTurn<N extends JobName>(name: N, input: JobInput<N>): Promise<TimedOutput<N>> {
    return this.turns.run(async () => {
      const startMs = performance.now();
      const { output, busyMs } = await runJob(name, input, this.context);
      return { output, busyMs: busyMs ?? performance.now() - startMs };
    });
  }
}
