import { nodeSystem } from '../../src/system/index.js';
import { openJobs } from '../../src/workers/index.js';
import { jobRunnerSuite } from './job-runner.suite.js';

jobRunnerSuite(() => openJobs(nodeSystem(), { threads: 0, recentDigests: 1024 }));
