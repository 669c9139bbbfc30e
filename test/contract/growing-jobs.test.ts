import { nodeSystem } from '../../src/system/index.js';
import { openJobs } from '../../src/workers/index.js';
import { jobRunnerSuite } from './job-runner.suite.js';

// The first jobs run in this thread, and those that read large files in another one.
jobRunnerSuite(() => openJobs(nodeSystem(), { threads: 1, recentDigests: 1024, mayBeFew: true }));
