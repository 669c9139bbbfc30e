/** Maps a job's name to its function, for all runners. A backup does not load the code of restores. */
import { dataJob, holesJob } from './holes-job.js';
import type { JobContext } from './job-context.js';
import type { JobInput, JobName, JobResult, JobTable } from './jobs.js';
import { dropNamesJob, pageJob } from './large-directory.js';
import { buildJob, readJob } from './parcel-job.js';
import { similarJob } from './similar-job.js';
import { walkJob } from './walk-job.js';

type JobFunctions = {
  [N in JobName]: (
    input: JobInput<N>,
    context: JobContext,
  ) => JobResult<JobTable[N]['output']> | Promise<JobResult<JobTable[N]['output']>>;
};

/** The code of restores, once a job needs it. */
let restoring: Promise<typeof import('./restore-job.js')> | undefined;

const JOBS: JobFunctions = {
  walk: (input, { system }) => walkJob(input, system),
  page: (input, { system }) => pageJob(input, system),
  dropNames: (input, { system }) => dropNamesJob(input, system),
  read: readJob,
  build: buildJob,
  holes: (input, { system }) => holesJob(input, system),
  data: (input, { system }) => dataJob(input, system),
  similar: (input, { system }) => similarJob(input, system),
  restore: async (input, context) => {
    restoring ??= import('./restore-job.js');
    return (await restoring).restoreJob(input, context);
  },
};

/** Runs one job. Throws the errors of the job. */
export async function runJob<N extends JobName>(
  name: N,
  input: JobInput<N>,
  context: JobContext,
): Promise<JobResult<JobTable[N]['output']>> {
  return JOBS[name](input, context);
}
