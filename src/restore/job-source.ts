/** Runs a restore job where its records can be read: here, or through a port when they are elsewhere. */
import { MessageChannel } from 'node:worker_threads';
import type { Archive } from '../archive/index.js';
import {
  type JobRunner,
  type RestoreInput,
  type RestoreOutput,
  serveReads,
} from '../workers/index.js';
import { ReadAhead } from './read-ahead.js';

export async function runJobOf(
  archive: Archive,
  jobs: JobRunner,
  job: Omit<RestoreInput, 'source'>,
): Promise<RestoreOutput> {
  const { clientPath } = archive;
  if (clientPath !== undefined) {
    const local = { ...job, source: { path: clientPath } };
    return (await jobs.run('restore', local)).output;
  }
  const { port1, port2 } = new MessageChannel();
  const reader = new ReadAhead(archive.objects(), job.records);
  serveReads(port1, reader);
  try {
    const far = { ...job, source: { port: port2 } };
    return (await jobs.run('restore', far, [port2])).output;
  } finally {
    port1.close();
    reader.close();
  }
}
