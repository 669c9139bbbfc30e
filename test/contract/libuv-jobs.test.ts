import { nodeSystem } from '../../src/system/index.js';
import { LibuvJobs, openJobs } from '../../src/workers/index.js';
import { jobRunnerSuite } from './job-runner.suite.js';

// The addon works aside. All jobs that it has no call for are left to a runner in this thread.
jobRunnerSuite(async () => {
  const system = nodeSystem();
  return new LibuvJobs(system, 2, await openJobs(system, { threads: 0, recentDigests: 1024 }));
});
