/** Maps a job's name to its function, for worker threads and the inline runner. */
import { dataJob, holesJob } from './holes-job.js';
import type { JobContext } from './job-context.js';
import type { JobInput, JobName, JobResult, JobTable } from './jobs.js';
import { dropNamesJob, pageJob } from './large-directory.js';
import { buildJob, readJob } from './parcel-job.js';
import { restoreJob } from './restore-job.js';
import { similarJob } from './similar-job.js';
import { walkJob } from './walk-job.js';

type JobFunctions = {
  [N in JobName]: (
    input: JobInput<N>,
    context: JobContext,
  ) => JobResult<JobTable[N]['output']> | Promise<JobResult<JobTable[N]['output']>>;
};

const JOBS: JobFunctions = {
  walk: (input, { system }) => walkJob(input, system),
  page: (input, { system }) => pageJob(input, system),
  dropNames: (input, { system }) => dropNamesJob(input, system),
  read: readJob,
  build: buildJob,
  holes: (input, { system }) => holesJob(input, system),
  data: (input, { system }) => dataJob(input, system),
  similar: (input, { system }) => similarJob(input, system),
  restore: restoreJob,
};

/** Runs one job. Throws the errors of the job. */
export async function runJob<N extends JobName>(
  name: N,
  input: JobInput<N>,
  context: JobContext,
): Promise<JobResult<JobTable[N]['output']>> {
  return JOBS[name](input, context);
}
