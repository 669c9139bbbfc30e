/** The work of this program that takes time: restores, previews of them, archives, downloads and acts. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import type { SetNumber } from '../../model/index.js';
import {
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
} from '../../restore/index.js';
import { invalidRequest, pathJson } from '../api/index.js';
import type { Act } from './acts.js';
import { MAX_FAILURES, type JobState } from './schemas.js';

/** Maximum number of jobs that are listed. The oldest one that has ended makes room for a new one. */
const MAX_KEPT = 32;
/** Number of paths of a job that are listed. */
const SHOWN_PATHS = 3;
/** Maximum number of lines of a command that are kept, and of characters in each. */
const MAX_LOG_LINES = 200;
const MAX_LINE_CHARS = 1000;
/** Maximum number of warnings of a history that are shown, and of characters in each. */
const MAX_DOUBTS = 100;
const MAX_CHARS = 1000;
/** Progress of a command. */
const PROGRESS = /^(?:starting$|scanned \d|\[[#-]+\])/;

interface JobFacts {
  /** The client, by its name in addresses. */
  readonly client: string;
  readonly kind: JobState['kind'];
  /** The set that is read; absent in acts. */
  readonly set?: SetNumber;
  readonly paths: readonly Buffer[];
  /** The command of an act, as one types it. */
  readonly command?: string;
  /** The directory of a restore or a mount; undefined for the original places and for other kinds. */
  readonly output?: string | undefined;
}

/** The result of a job. An error that `stop` caused makes it a stopped one. */
export interface JobResult {
  readonly failures?: readonly RestoreFailure[];
  readonly losses?: readonly string[];
  readonly error?: unknown;
}

export class Job {
  readonly id: string = randomUUID();
  /** Number of bytes that will be written; undefined while nobody has counted them. */
  totalBytes: number | undefined;
  /** The last lines that the command of an act has printed. */
  readonly log: string[] = [];
  /** True if a command has done its work, and has warned. */
  hasWarnings = false;
  /** The result of a finished act; undefined if it is not known. */
  result: JobState['result'];
  /** The act that takes this one back; undefined if none does. */
  undo: Act | undefined;
  private latest: string | undefined;
  /** The first line of the output of a command, in which it reports what it did. */
  private report: string | undefined;
  private readonly controller = new AbortController();
  private readonly ending = Promise.withResolvers<void>();
  private state: JobState['state'] = 'running';
  private failures: readonly RestoreFailure[] = [];
  private losses: readonly string[] = [];
  private error: TardisError | undefined;
  private readonly beganMs = performance.now();
  private endedMs: number | undefined;

  constructor(
    readonly facts: JobFacts,
    readonly progress: RestoreProgress = newRestoreProgress(),
    /** The data that is read; its warnings are shown with the job. */
    private readonly history?: Pick<History, 'doubts'>,
  ) {}

  get isRunning(): boolean {
    return this.state === 'running';
  }

  /** Resolves when the job has ended. */
  get ended(): Promise<void> {
    return this.ending.promise;
  }

  /** Aborted when the job is to stop. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  stop(): void {
    this.controller.abort();
  }

  /**
   * Takes a line of a command. Its output reports what it did. Progress, among its messages, replaces the progress before
   * it; a line that is repeated is kept once.
   */
  note(line: string, from: 'output' | 'messages'): void {
    const shown = line.slice(0, MAX_LINE_CHARS);
    if (from === 'output') this.report ??= shown;
    if (from === 'messages' && PROGRESS.test(shown)) this.latest = shown;
    else if (shown.trim() !== '' && shown !== this.log.at(-1)) {
      this.log.push(shown);
      if (this.log.length > MAX_LOG_LINES) this.log.shift();
    }
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
    this.ending.resolve();
  }

  /** Returns the job for the page. */
  shown(): JobState {
    const { client, kind, set, paths, output, command } = this.facts;
    const { directories, files, links, bytes, unchanged, kept, failures } = this.progress;
    const { error, totalBytes, latest, report, result, hasWarnings, log, state } = this;
    return {
      id: this.id,
      client,
      kind,
      state,
      set,
      command,
      latest: state === 'running' ? latest : undefined,
      report,
      result,
      log: [...log],
      hasWarnings,
      canUndo: state === 'done' && this.undo !== undefined,
      paths: paths.slice(0, SHOWN_PATHS).map(pathJson),
      pathCount: paths.length,
      output,
      elapsedMs: Math.round((this.endedMs ?? performance.now()) - this.beganMs),
      totalBytes,
      progress: {
        directories,
        files,
        links,
        bytes,
        unchanged,
        kept,
        failures: Math.max(failures, this.failures.length),
      },
      failures: this.failures
        .slice(0, MAX_FAILURES)
        .map((failure) => ({
          ...pathJson(failure.path),
          code: failure.error.code,
          message: failure.error.message,
        })),
      error: error === undefined ? undefined : { code: error.code, message: error.message },
      losses: [...this.losses],
      doubts: this.history === undefined ? [] : shownDoubts(this.history),
    };
  }
}

/** Returns the first warnings of a history, each shortened. */
export function shownDoubts({ doubts }: Pick<History, 'doubts'>): string[] {
  return doubts.slice(0, MAX_DOUBTS).map((text) => text.slice(0, MAX_CHARS));
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

  /** Makes room for one more job: the oldest one that has ended is forgotten. Throws CLIENT_BUSY if too many are running. */
  makeRoom(): void {
    if (this.kept.size < MAX_KEPT) return;
    const ended = this.all().find((one) => !one.isRunning);
    if (ended === undefined) throw new TardisError('CLIENT_BUSY', 'too many jobs are running');
    this.kept.delete(ended.id);
  }

  /** Adds a job. Throws CLIENT_BUSY if too many are running. */
  add(job: Job): Job {
    this.makeRoom();
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

  /** Stops all jobs, and waits for their ends. */
  async close(): Promise<void> {
    const running = this.all().filter((job) => job.isRunning);
    for (const job of running) job.stop();
    await Promise.all(running.map(({ ended }) => ended));
  }
}
