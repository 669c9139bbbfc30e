/** Chooses where jobs run, and loads only the modules for that. */
import type { System } from '../system/index.js';
import type { GrowingOptions } from './growing-jobs.js';
import type { JobRunner } from './job-runner.js';
import type { PoolOptions } from './pool.js';

interface OpenJobsOptions extends PoolOptions {
  /** True if there may be little work. Threads are then started only when there is more. */
  readonly mayBeFew?: boolean;
  /** True for restores. Other threads are started only if those of libuv's pool do not suffice. */
  readonly isForRestores?: boolean;
  /** True for backups. */
  readonly isForBackups?: boolean;
}

/** Maximum number of jobs on threads of libuv's pool, which has four; one is left for other work. */
const MOST_LIBUV_THREADS = 3;
const RESTORE_DIGESTS = 8;
/**
 * Time that a restore's other jobs take in the calling thread before a pool is started. A tree of small files has few of
 * them: its largest files.
 */
const ENOUGH_BESIDE_MS = 500;

/**
 * Returns a pool of threads, or a runner in the calling thread if `threads` is 0. The latter saves an isolate of V8 and
 * the libraries that threads load: about 17 MB (measured). One thread of libuv's pool takes the small files even then.
 */
export async function openJobs(
  system: System,
  { mayBeFew = false, isForRestores = false, isForBackups = false, ...options }: OpenJobsOptions,
): Promise<JobRunner> {
  const isOnLibuv = (isForBackups || isForRestores) && options.threads <= MOST_LIBUV_THREADS;
  const isBeside = isOnLibuv && isForRestores;
  const enoughWorkMs = isBeside ? ENOUGH_BESIDE_MS : undefined;
  const others = await openThreads(system, mayBeFew || isBeside, { ...options, enoughWorkMs });
  if (!isOnLibuv) return others;
  const { LibuvJobs } = await import('./libuv-jobs.js');
  // One more than there are threads: after a job, a thread waits until the main thread has prepared the next one.
  return new LibuvJobs(system, Math.min(options.threads + 1, MOST_LIBUV_THREADS), others);
}

/** Returns what `openJobs` does, for restores: they send nothing, so hardly a digest has to be remembered. */
export function openRestoreJobs(system: System, threads: number): Promise<JobRunner> {
  return openJobs(system, { threads, recentDigests: RESTORE_DIGESTS, isForRestores: true });
}

async function openThreads(
  system: System,
  isGrowing: boolean,
  options: GrowingOptions,
): Promise<JobRunner> {
  if (options.threads === 0) {
    const { InlineJobs } = await import('./inline.js');
    return new InlineJobs(system, options.recentDigests);
  }
  if (isGrowing) {
    const { GrowingJobs } = await import('./growing-jobs.js');
    return new GrowingJobs(system, options);
  }
  const { JobPool } = await import('./pool.js');
  return new JobPool(system, options);
}
