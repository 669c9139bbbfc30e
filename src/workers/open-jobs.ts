/** Chooses where jobs run, and loads only the modules for that. */
import type { System } from '../system/index.js';
import type { JobRunner } from './jobs.js';
import type { PoolOptions } from './pool.js';

interface OpenJobsOptions extends PoolOptions {
  /** True if there may be little work. Threads are then started only when there is more. */
  readonly mayBeFew?: boolean;
  /** True for restores. They then run on threads of libuv's pool, and other threads are started only if these do not suffice. */
  readonly isForRestores?: boolean;
  /** True for backups. Small files are then read and compressed on threads of libuv's pool. */
  readonly isForBackups?: boolean;
}

/** Maximum number of jobs on threads of libuv's pool, which has four; one is left for other work. */
const MOST_ASIDE = 3;
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
  // One more than there are threads: after a job, a thread waits until the main thread has prepared the next one.
  const aside = Math.min(options.threads + 1, MOST_ASIDE);
  if (isForRestores && options.threads <= MOST_ASIDE) {
    const { AsideRestores } = await import('./aside-restores.js');
    return new AsideRestores(system, aside, await openBeside(system, options));
  }
  const others = await openThreads(system, mayBeFew, options);
  if (!isForBackups || options.threads > MOST_ASIDE) return others;
  const { LibuvJobs } = await import('./libuv-jobs.js');
  return new LibuvJobs(system, aside, others);
}

/** Opens the runner of what a restore does not do aside. */
async function openBeside(system: System, options: PoolOptions): Promise<JobRunner> {
  if (options.threads === 0) return openInline(system, options);
  const { GrowingJobs } = await import('./growing-jobs.js');
  return new GrowingJobs(system, { ...options, enoughWorkMs: ENOUGH_BESIDE_MS });
}

async function openInline(system: System, { recentDigests }: PoolOptions): Promise<JobRunner> {
  const { InlineJobs } = await import('./inline.js');
  return new InlineJobs(system, recentDigests);
}

async function openThreads(
  system: System,
  mayBeFew: boolean,
  options: PoolOptions,
): Promise<JobRunner> {
  if (options.threads === 0) return openInline(system, options);
  if (mayBeFew) {
    const { GrowingJobs } = await import('./growing-jobs.js');
    return new GrowingJobs(system, options);
  }
  const { JobPool } = await import('./pool.js');
  return new JobPool(system, options);
}
