/** Where jobs run is a setting; only what it needs is loaded. */
import type { System } from '../system/index.js';
import type { JobRunner } from './jobs.js';
import type { PoolOptions } from './pool.js';

/**
 * Jobs in a pool of threads, or with 0 threads in the calling one, which saves an isolate of V8 and the
 * libraries that threads load: about 17 MB (measured).
 */
export async function openJobs(system: System, options: PoolOptions): Promise<JobRunner> {
  if (options.threads === 0) {
    const { InlineJobs } = await import('./inline.js');
    return new InlineJobs(system, options.recentDigests);
  }
  const { JobPool } = await import('./pool.js');
  return new JobPool(system, options);
}
