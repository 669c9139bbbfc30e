/** The work of this program that takes time: restores, previews of them, archives and downloads. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { SetNumber } from '../../model/index.js';
import {
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
} from '../../restore/index.js';
import { invalidRequest, pathJson } from '../api/index.js';
import { MAX_FAILURES, type JobState } from './schemas.js';

/** Maximum number of jobs that are listed. The oldest one that has ended makes room for a new one. */
const MAX_KEPT = 32;
/** Number of paths of a job that are listed. */
const SHOWN_PATHS = 3;

interface JobFacts {
  readonly kind: JobState['kind'];
  readonly set: SetNumber;
  readonly paths: readonly Buffer[];
  /** The directory that is restored into; undefined for the original places and for other kinds. */
  readonly output?: string | undefined;
}

/** The result of a job. An error that `stop` caused makes it a stopped one. */
interface JobResult {
  readonly failures?: readonly RestoreFailure[];
  readonly losses?: readonly string[];
  readonly error?: unknown;
}

export class Job {
  readonly id: string = randomUUID();
  /** Number of bytes that will be written; undefined while nobody has counted them. */
  totalBytes: number | undefined;
  private readonly controller = new AbortController();
  private state: JobState['state'] = 'running';
  private failures: readonly RestoreFailure[] = [];
  private losses: readonly string[] = [];
  private error: TardisError | undefined;
  private readonly beganMs = performance.now();
  private endedMs: number | undefined;

  constructor(
    readonly facts: JobFacts,
    readonly progress: RestoreProgress = newRestoreProgress(),
  ) {}

  get isRunning(): boolean {
    return this.state === 'running';
  }

  /** Aborted when the job is to stop. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  stop(): void {
    this.controller.abort();
  }

  end({ failures = [], losses = [], error }: JobResult): void {
    this.endedMs = performance.now();
    this.failures = failures;
    this.losses = losses;
    if (error === undefined) this.state = 'done';
    else {
      this.state = this.signal.aborted ? 'stopped' : 'failed';
      this.error = asTardisError(error);
    }
  }

  /** Returns the job for the page; `doubts` are the warnings of the history so far. */
  shown(doubts: readonly string[]): JobState {
    const { kind, set, paths, output } = this.facts;
    const { directories, files, links, bytes, unchanged, kept, failures } = this.progress;
    const { error, totalBytes } = this;
    return {
      id: this.id,
      kind,
      state: this.state,
      set,
      paths: paths.slice(0, SHOWN_PATHS).map(pathJson),
      pathCount: paths.length,
      ...(output === undefined ? {} : { output }),
      elapsedMs: Math.round((this.endedMs ?? performance.now()) - this.beganMs),
      ...(totalBytes === undefined ? {} : { totalBytes }),
      progress: {
        directories,
        files,
        links,
        bytes,
        unchanged,
        kept,
        failures: Math.max(failures, this.failures.length),
      },
      failures: this.failures.slice(0, MAX_FAILURES).map((failure) => ({
        ...pathJson(failure.path),
        code: failure.error.code,
        message: failure.error.message,
      })),
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
      losses: [...this.losses],
      doubts: [...doubts],
    };
  }
}

export class Jobs {
  private readonly kept = new Map<string, Job>();

  /** True while a job runs, so that the program must not end for want of requests. */
  get isRunning(): boolean {
    return this.all().some((job) => job.isRunning);
  }

  all(): Job[] {
    return [...this.kept.values()];
  }

  /** Adds a job. Throws CLIENT_BUSY if too many are running. */
  add(job: Job): Job {
    const ended = this.all().find((one) => !one.isRunning);
    if (this.kept.size >= MAX_KEPT) {
      if (ended === undefined) throw new TardisError('CLIENT_BUSY', 'too many jobs are running');
      this.kept.delete(ended.id);
    }
    this.kept.set(job.id, job);
    return job;
  }

  /** Adds a job that has failed already, in place of an equal one: browsers try a download again. */
  addFailed(facts: JobFacts, error: unknown): void {
    const again = this.all().find((one) => !one.isRunning && isDeepStrictEqual(one.facts, facts));
    if (again !== undefined) this.kept.delete(again.id);
    this.add(new Job(facts)).end({ error });
  }

  /** Returns a job. Throws REQUEST_INVALID. */
  find(id: string): Job {
    const job = this.kept.get(id);
    if (job === undefined) throw invalidRequest('there is no such job');
    return job;
  }

  forget(id: string): void {
    this.kept.delete(id);
  }

  stop(): void {
    for (const job of this.all()) job.stop();
  }
}
