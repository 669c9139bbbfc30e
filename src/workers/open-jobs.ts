/** Chooses where jobs run, and loads only the modules for that. */
import type { System } from '../system/index.js';
import type { JobRunner } from './jobs.js';
import type { PoolOptions } from './pool.js';

export interface OpenJobsOptions extends PoolOptions {
  /** True if there may be little work. Threads are then started only when there is more. */
  readonly mayBeFew?: boolean;
}

/**
 * Returns a pool of threads, or a runner in the calling thread if `threads` is 0. The latter saves an isolate of V8 and
 * the libraries that threads load: about 17 MB (measured).
 */
export async function openJobs(
  system: System,
  { mayBeFew = false, ...options }: OpenJobsOptions,
): Promise<JobRunner> {
  if (options.threads === 0) {
    const { InlineJobs } = await import('./inline.js');
    return new InlineJobs(system, options.recentDigests);
  }
  if (mayBeFew) {
    const { GrowingJobs } = await import('./growing-jobs.js');
    return new GrowingJobs(system, options);
  }
  const { JobPool } = await import('./pool.js');
  return new JobPool(system, options);
}
