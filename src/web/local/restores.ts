/** Restores in place: one at a time, with progress that can be read while it runs. */
import { TardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import { joinPath, splitPath } from '../../model/index.js';
import {
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
  type RestoreRequest,
  runRestore,
} from '../../restore/index.js';
import type { System } from '../../system/index.js';
import type { JobRunner } from '../../workers/index.js';
import { encodedPathIn, invalidRequest } from '../api/index.js';
import { Job, type Jobs } from './jobs.js';
import type { RestoreBody } from './schemas.js';

/** Header with the number of warnings so far. If the number changes, the page requests the warnings again. */
export const DOUBTS_HEADER = 'x-tardis-doubts';
const MAX_DOUBTS = 100;
const MAX_CHARS = 1000;

/** Time within which the bytes of a restore are counted before it begins; otherwise it begins without their number. */
const COUNTING_MS = 5000;
const SLASH = 0x2f;
const ROOT = Buffer.from('/');

interface RestoringOptions {
  readonly system: System;
  readonly history: History;
  readonly jobs: Jobs;
  /** Opens the threads of a restore. The restore closes them at its end. */
  readonly openJobs: () => Promise<JobRunner>;
  readonly workers: number;
  /** Notes a restore: the damage that it has found, or that it has proven the backups. Must not throw. */
  readonly noteRestored?: (restored: Restored) => Promise<void>;
}

/** The result of a restore. */
export interface Restored {
  readonly progress: RestoreProgress;
  readonly failures: readonly RestoreFailure[];
}

export class Restores {
  private current: Job | undefined;
  private work: Promise<void> = Promise.resolve();

  constructor(private readonly options: RestoringOptions) {}

  /** Begins a restore. Throws CLIENT_BUSY if another restore is running, REQUEST_INVALID, NO_SUCH_SET. */
  async start(body: RestoreBody): Promise<Job> {
    const { history, jobs } = this.options;
    const destination = destinationOf(body);
    const { set } = await history.findSet(String(body.set));
    if (this.current?.isRunning === true) {
      throw new TardisError('CLIENT_BUSY', 'another restore is running');
    }
    const { paths } = destination;
    const kind = body.isPreview ? 'preview' : 'restore';
    const job = jobs.add(new Job({ kind, set, paths, output: body.output }));
    this.current = job;
    this.work = this.run(job, body, destination);
    return job;
  }

  /** Waits until a restore has ended; does nothing for another job. */
  async idle(job: Job): Promise<void> {
    if (job === this.current) await this.work;
  }

  /** Stops the running restore, and waits for its end. */
  async close(): Promise<void> {
    this.current?.stop();
    await this.work;
  }

  private async noteRestored(restored: Restored): Promise<void> {
    const { history, noteRestored } = this.options;
    const work = async (): Promise<void> => noteRestored?.(restored);
    await (history.whileWriting?.(work) ?? work());
  }

  private async run(job: Job, body: RestoreBody, destination: Destination): Promise<void> {
    const { system, history, openJobs, workers } = this.options;
    const { overwrite, comparesContents: compareContents, set, isPreview: dryRun } = body;
    const { progress, signal } = job;
    const policy = {
      compareContents,
      ...(overwrite === 'refuse' ? {} : { overwrite }),
    };
    let jobs: JobRunner | undefined;
    try {
      jobs = await openJobs();
      const request = { set, workers, policy, dryRun, ...destination };
      if (!dryRun) job.totalBytes = await this.countedBytes(jobs, request, signal);
      const means = { history, jobs, progress, signal };
      const { failures, losses } = await runRestore(system, means, request);
      if (!dryRun) await this.noteRestored({ progress, failures });
      const shown = failures.map((failure) => ({
        ...failure,
        path: body.output === undefined ? joinPath(ROOT, failure.path) : failure.path,
      }));
      job.end({ failures: shown, losses });
    } catch (error) {
      job.end({ error });
    } finally {
      await jobs?.close();
    }
  }

  /** Returns the number of bytes that a restore will write; undefined if counting them takes too long, or fails. */
  private async countedBytes(
    jobs: JobRunner,
    request: RestoreRequest,
    stopped: AbortSignal,
  ): Promise<number | undefined> {
    const { system, history } = this.options;
    const progress = newRestoreProgress();
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(COUNTING_MS)]);
    const policy = { ...request.policy, compareContents: false }; // else it reads all of it twice
    try {
      const means = { history, jobs, progress, signal };
      await runRestore(system, means, { ...request, policy, dryRun: true });
      return progress.bytes;
    } catch {
      return undefined; // the restore itself reports what is wrong
    }
  }
}

type Destination = Pick<RestoreRequest, 'output' | 'paths' | 'hierarchy'>;

/** Returns where paths are restored to: the directory that the user has chosen, or each path's original place below `/`. */
function destinationOf({ paths: given, output }: RestoreBody): Destination {
  const paths = given.map(encodedPathIn);
  if (output === undefined) {
    if (paths.some((path) => splitPath(path).length === 0)) {
      throw invalidRequest('choose what is below / to restore it to its place');
    }
    return { output: ROOT, paths, hierarchy: true };
  }
  const target = Buffer.from(output);
  if (target[0] !== SLASH || target.includes(0)) {
    throw invalidRequest('the directory to restore into must be an absolute path');
  }
  return { output: target, paths };
}

/** Returns the first warnings of a history, each shortened. */
export function shownDoubts({ doubts }: Pick<History, 'doubts'>): string[] {
  return doubts.slice(0, MAX_DOUBTS).map((text) => text.slice(0, MAX_CHARS));
}
