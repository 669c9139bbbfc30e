import { nodeSystem } from '../../src/system/index.js';
import { AsideRestores, openJobs } from '../../src/workers/index.js';
import { jobRunnerSuite } from './job-runner.suite.js';

// None of these jobs is a restore, so all are left to the other runner, which must be used and closed rightly.
jobRunnerSuite(async () => {
  const system = nodeSystem();
  return new AsideRestores(system, 2, await openJobs(system, { threads: 0, recentDigests: 1024 }));
});
