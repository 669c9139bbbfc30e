/** The routes of jobs: a restore is begun, and every job is listed, stopped and forgotten. */
import { Type } from 'typebox';
import { type AddedRoute, addedRoute, get, post, remove, schemas } from '../api/index.js';
import type { Clients } from './clients.js';
import { type RestoringOptions, startRestore } from './restores.js';
import { JobState, RestoreBody } from './schemas.js';

const JOBS = '/jobs';
export const JOB = `${JOBS}/{id}`;

/** Returns the routes. */
export function jobRoutes(options: RestoringOptions, clients: Clients): AddedRoute[] {
  const { jobs } = options;
  return [
    addedRoute(
      post('/restores', 'read', {
        summary: 'Begins a restore on this machine, or a preview of one.',
        maxBodyBytes: schemas.MAX_PATHS_BODY_BYTES,
        body: RestoreBody,
        reply: JobState,
      }),
      async ({ body }) => {
        const shown = clients.find(body.client);
        const lease = await clients.lease(body.client);
        try {
          return (await startRestore(options, body, { shown, lease })).shown();
        } catch (error) {
          lease.release(); // no restore does
          throw error;
        }
      },
    ),
    addedRoute(
      get(JOBS, 'read', {
        summary:
          'Lists the jobs of this program, oldest first: those that run, and those that ended and were not forgotten. An archive that was sent whole is not kept.',
        reply: Type.Object({ jobs: Type.Array(JobState) }),
      }),
      async () => ({ jobs: jobs.all().map((job) => job.shown()) }),
    ),
    addedRoute(
      get(JOB, 'read', {
        summary: 'Returns the progress or the result of a job.',
        reply: JobState,
      }),
      async ({ params }) => jobs.find(params['id'] ?? '').shown(),
    ),
    addedRoute(
      remove(JOB, 'read', {
        summary:
          'Stops a job; if it has ended, forgets it. A restore that was stopped continues when the same one is begun again.',
        reply: JobState,
      }),
      async ({ params }) => {
        const job = jobs.find(params['id'] ?? '');
        if (job.isRunning) {
          job.stop();
          await job.ended;
        } else jobs.forget(job.id);
        return job.shown();
      },
    ),
  ];
}
