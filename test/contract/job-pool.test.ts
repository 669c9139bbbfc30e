import path from 'node:path';
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { type JobRunner, openJobs } from '../../src/workers/index.js';
import { filled } from '../helpers/jobs.js';
import { threadsOf } from '../helpers/threads.js';
import { noise } from '../helpers/tree.js';
import { jobRunnerSuite, rangeOf, walkOf } from './job-runner.suite.js';

const MIB = 1 << 20;
const pool = (threads: number): Promise<JobRunner> =>
  openJobs(nodeSystem(), { threads, recentDigests: 1024 });

jobRunnerSuite(() => pool(2));

test.serial(
  'a thread that dies fails its job with a code, and another one takes the next',
  async (t) => {
    const folder = filled(t, { file: noise('file', 4 * MIB) });
    const { result: jobs, threads } = await threadsOf(() => pool(1));
    t.is(threads.length, 1);
    const dying = jobs.runRange(rangeOf(path.join(folder, 'file')), 1, async () => {
      await threads[0]!.terminate();
    });
    await t.throwsAsync(dying, { instanceOf: TardisError });
    t.is((await jobs.run('walk', walkOf(folder))).output.entries, 1);
    await jobs.close();
  },
);
