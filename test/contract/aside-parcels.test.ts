import { nodeSystem } from '../../src/system/index.js';
import { AsideParcels, openJobs } from '../../src/workers/index.js';
import { jobRunnerSuite } from './job-runner.suite.js';

// Parcels are read by the addon, aside. All other jobs are left to a runner in this thread.
jobRunnerSuite(async () => {
  const system = nodeSystem();
  return new AsideParcels(system, 2, await openJobs(system, { threads: 0, recentDigests: 1024 }));
});
