/** Restores in place: one at a time, with progress that can be read while it runs. */
import { TardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import { joinPath, SLASH, SLASH_BYTES, splitPath } from '../../model/index.js';
import {
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
  type RestoreRequest,
  runRestore,
} from '../../restore/index.js';
import type { System } from '../../system/index.js';
import type { JobRunner } from '../../workers/index.js';
import { encodedPathIn, invalidRequest, type Lease } from '../api/index.js';
import type { ShownClient } from './clients.js';
import { Job, type JobResult, type Jobs } from './jobs.js';
import type { RestoreBody } from './schemas.js';

/** Time within which the bytes of a restore are counted before it begins; otherwise it begins without their number. */
const COUNTING_MS = 5000;

export interface RestoringOptions {
  readonly system: System;
  /** The jobs of this program, to which restores and failed downloads are added. */
  readonly jobs: Jobs;
  /** Opens the threads of a restore. The restore closes them at its end. */
  readonly openJobs: () => Promise<JobRunner>;
  readonly workers: number;
  /** Returns the places that a restore leaves as they are; undefined if the page has all rights of its user. */
  readonly guarded?: (() => readonly Buffer[]) | undefined;
}

/** The result of a restore. */
export interface Restored {
  readonly progress: RestoreProgress;
  readonly failures: readonly RestoreFailure[];
}

/** A client that is open for a restore, which releases it at its end. */
interface OpenClient {
  readonly shown: ShownClient;
  readonly lease: Lease;
}

/**
 * Begins a restore. Throws CLIENT_BUSY if another restore is running, REQUEST_INVALID, NO_SUCH_SET; the client then
 * stays open.
 */
export async function startRestore(
  options: RestoringOptions,
  body: RestoreBody,
  client: OpenClient,
): Promise<Job> {
  const { jobs } = options;
  const { history } = client.lease;
  const destination = destinationOf(body);
  const { set } = await history.findSet(String(body.set));
  const isRestore = ({ isRunning, facts: { kind } }: Job): boolean =>
    isRunning && (kind === 'restore' || kind === 'preview');
  if (jobs.all().some(isRestore)) {
    throw new TardisError('CLIENT_BUSY', 'another restore is running');
  }
  const { paths } = destination;
  const kind = body.isPreview ? 'preview' : 'restore';
  const facts = { client: client.shown.name, kind, set, paths, output: body.output } as const;
  const job = jobs.add(new Job(facts, undefined, history));
  void restored(options, job, { body, destination, client })
    .catch((error: unknown) => ({ error }))
    .then((result) => job.end(result));
  return job;
}

interface Restoring {
  readonly body: RestoreBody;
  readonly destination: Destination;
  readonly client: OpenClient;
}

/** Restores, and releases the client at the end. */
async function restored(
  { system, openJobs, workers, guarded }: RestoringOptions,
  job: Job,
  { body, destination, client: { shown: client, lease } }: Restoring,
): Promise<JobResult> {
  const { history } = lease;
  const { overwrite, comparesContents: compareContents, set, isPreview: dryRun } = body;
  const { progress, signal } = job;
  const policy = { compareContents, ...(overwrite === 'refuse' ? {} : { overwrite }) };
  let jobs: JobRunner | undefined;
  try {
    jobs = await openJobs();
    const guards = guarded && { guarded: guarded() };
    const request = { set, workers, policy, dryRun, ...destination, ...guards };
    const means = { history, jobs, progress, signal };
    if (!dryRun) job.totalBytes = await countedBytes(system, means, request);
    const { failures, losses } = await runRestore(system, means, request);
    if (!dryRun) await noteRestored(client, history, { progress, failures });
    const shown = failures.map((failure) => ({
      ...failure,
      path: body.output === undefined ? joinPath(SLASH_BYTES, failure.path) : failure.path,
    }));
    return { failures: shown, losses };
  } finally {
    lease.release();
    await jobs?.close();
  }
}

/** Returns the number of bytes that a restore will write; undefined if counting them takes too long, or fails. */
async function countedBytes(
  system: System,
  given: Parameters<typeof runRestore>[1] & { readonly signal: AbortSignal },
  request: RestoreRequest,
): Promise<number | undefined> {
  const progress = newRestoreProgress();
  const signal = AbortSignal.any([given.signal, AbortSignal.timeout(COUNTING_MS)]);
  const policy = { ...request.policy, compareContents: false }; // else it reads all of it twice
  try {
    await runRestore(system, { ...given, progress, signal }, { ...request, policy, dryRun: true });
    return progress.bytes;
  } catch {
    return undefined; // the restore itself reports what is wrong
  }
}

/** Notes a restore, while the history that it has read lets others write. */
async function noteRestored(
  { noteRestored: note }: ShownClient,
  history: History,
  restored: Restored,
): Promise<void> {
  const work = async (): Promise<void> => note?.(history, restored);
  await (history.whileWriting?.(work) ?? work());
}

type Destination = Pick<RestoreRequest, 'output' | 'paths' | 'hierarchy'>;

/** Returns where paths are restored to: the directory that the user has chosen, or each path's original place below `/`. */
function destinationOf({ paths: given, output }: RestoreBody): Destination {
  const paths = given.map(encodedPathIn);
  if (output === undefined) {
    if (paths.some((path) => splitPath(path).length === 0)) {
      throw invalidRequest('choose what is below / to restore it to its place');
    }
    return { output: SLASH_BYTES, paths, hierarchy: true };
  }
  const target = Buffer.from(output);
  if (target[0] !== SLASH || target.includes(0)) {
    throw invalidRequest('the directory to restore into must be an absolute path');
  }
  return { output: target, paths };
}
