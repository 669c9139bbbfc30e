/**
 * Background jobs on a client's store that a reader requests, one at a time. One question starts a job; further
 * questions fetch its findings and its result. A job ends with the reader's session.
 */
import { fromWire, protocolViolation, TardisError, throwIfAborted } from '../../errors/index.js';
import type { StoreLimits } from '../../store/writer/index.js';
import type { ForgetReport } from '../../model/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { Reply, Request } from '../../history/index.js';
import type { ReadData } from '../../maintenance/check/index.js';
import type { SnapshotFacts } from '../../maintenance/rewrite/index.js';
import { Thread, within } from '../../system/index.js';
import type {
  FromJob,
  JobChannel,
  JobProgress,
  JobResult,
  JobTask,
  JobWork,
  ReportedFinding,
} from './job.js';

/** Maximum time before an answer, even if there is nothing new. */
const ANSWER_MS = 1000;
/** Maximum number of bytes of findings in one answer. */
const MAX_REPORTED_BYTES = 4 << 20;
/** Maximum number of bytes of findings that wait to be fetched; further findings are only counted. */
const MAX_WAITING_BYTES = 32 << 20;
/** Approximate number of bytes of a finding without its texts, lists and bytes. */
const FINDING_BYTES = 128;
/** Approximate number of bytes of a number. */
const NUMBER_BYTES = 9;
/**
 * Maximum number of jobs at one time in a process; further requests get CLIENT_BUSY. Examinations of catalogs are not
 * counted: there is one for each copy, and copies have a limit of their own.
 */
const MAX_JOBS = 2;

/** The server's settings for background jobs. */
export interface JobLimits {
  readonly limits: StoreLimits;
  readonly umask?: number | undefined;
  readonly graceMs: number;
  readonly wasteRatio: number;
}

/** Runs a job to its end and returns its result. Throws the error of the job; INTERRUPTED if `signal` is aborted. */
export async function runJobThread(task: JobTask, signal?: AbortSignal): Promise<JobResult> {
  throwIfAborted(signal);
  const job = new Job(task);
  const stop = (): void => job.requestStop();
  signal?.addEventListener('abort', stop);
  try {
    for (;;) {
      const { result } = await job.news();
      if (result !== undefined) return result;
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    await job.stop();
  }
}

export class BackgroundJobs {
  private job: Job | undefined;
  private readonly closing = new AbortController();

  constructor(
    private readonly directory: ClientDirectory,
    private readonly limits: JobLimits,
  ) {}

  /**
   * Starts a check, and returns its first news. Throws PROTOCOL_VIOLATION for an invalid amount of data or if a job of
   * this reader runs, CLIENT_BUSY if too many jobs run, and the error of the check.
   */
  check({
    data,
    amount,
    of,
    leastAgeMs,
    mark,
  }: Request<'checkStore'>): Promise<Reply<'watchWork'>> {
    const read = { data: dataOf(data, amount, of), leastAgeMs };
    return replyOf(this.begin({ kind: 'check', read, mark }));
  }

  /**
   * Starts garbage collection, and returns its first news. Throws PROTOCOL_VIOLATION if a job of this reader runs,
   * CLIENT_BUSY if too many jobs run, and the error of the job.
   */
  free(): Promise<Reply<'watchWork'>> {
    const { graceMs, wasteRatio } = this.limits;
    return replyOf(this.begin({ kind: 'free', graceMs, wasteRatio }));
  }

  /**
   * Returns progress, new findings and the result of the job. Throws NO_SUCH_REQUEST if no job was started, and the
   * error of the job.
   */
  async news(): Promise<Reply<'watchWork'>> {
    if (this.job === undefined) {
      throw new TardisError('NO_SUCH_REQUEST', 'no job is under way; start it again');
    }
    return replyOf(this.job);
  }

  /**
   * Returns figures of the data that forgetting these paths would remove. Throws CLIENT_BUSY if too many jobs run, and
   * errors of the job, such as CATALOG_DAMAGED.
   */
  async previewForget(paths: readonly Buffer[]): Promise<ForgetReport> {
    const result = await this.result({ kind: 'preview', paths });
    if (result.kind !== 'preview') throw otherWork();
    return result.report;
  }

  /**
   * Copies the catalog to a file in a private folder. Throws CLIENT_BUSY if too many jobs run, and errors of the job,
   * such as CATALOG_DAMAGED.
   */
  async snapshot(file: string): Promise<SnapshotFacts> {
    const result = await this.result({ kind: 'snapshot', file });
    if (result.kind !== 'snapshot') throw otherWork();
    return result.facts;
  }

  private result(work: JobWork): Promise<JobResult> {
    const { limits, umask } = this.limits;
    const task = { directory: this.directory, limits, umask, work };
    return runJobThread(task, this.closing.signal);
  }

  /** Interrupts running jobs. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.job?.stop();
  }

  private begin(work: JobWork): Job {
    if (this.job?.isOver === false) throw protocolViolation('a reader may run one job at a time');
    const { limits, umask } = this.limits;
    this.job = new Job({ directory: this.directory, limits, umask, work });
    return this.job;
  }
}

function otherWork(): TardisError {
  return new TardisError('INTERNAL', 'a job did other work');
}

async function replyOf(job: Job): Promise<Reply<'watchWork'>> {
  const { findings, omitted, progress, result } = await job.news();
  const isForReader = result?.kind === 'check' || result?.kind === 'free';
  return { findings, omitted, progress, result: isForReader ? result : undefined };
}

/** Returns the data that a check reads. Throws PROTOCOL_VIOLATION for an amount out of range. */
function dataOf(kind: Request<'checkStore'>['data'], amount: number, of: number): ReadData {
  if (kind === 'none' || kind === 'all') return { kind };
  if (kind === 'part' && amount >= 1 && amount <= of) return { kind, part: amount, of };
  if (kind === 'bytes' && amount >= 1) return { kind, bytes: amount };
  // Percentages are sent in thousandths, since the fields are integers.
  if (kind === 'percent' && amount >= 1 && amount <= 100_000)
    return { kind, percent: amount / 1000 };
  throw protocolViolation('invalid amount of data to check');
}

interface News {
  readonly findings: ReportedFinding[];
  readonly omitted: number;
  readonly progress: JobProgress | undefined;
  readonly result: JobResult | undefined;
}

/** A finding that waits to be fetched, and its approximate size in a message. */
interface Waiting {
  readonly finding: ReportedFinding;
  readonly bytes: number;
}

let jobs = 0;

class Job {
  private findings: Waiting[] = [];
  private waitingBytes = 0;
  private omitted = 0;
  private progress: JobProgress | undefined;
  /**
   * Result of the job. Readers get it only after the thread has exited, so that their next request finds a free place.
   */
  private result: JobResult | undefined;
  private failure: TardisError | undefined;
  /** True if the job has an outcome and its thread has exited. */
  isOver = false;
  private wake: (() => void) | undefined;
  private readonly thread: Thread<JobChannel>;
  private readonly exited: Promise<void>;

  /** Starts the job. Throws CLIENT_BUSY if too many are running. */
  constructor(task: JobTask) {
    const counted = task.work.kind === 'examine' ? 0 : 1;
    if (counted > 0 && jobs >= MAX_JOBS) {
      const what = 'the server runs as many jobs as it can; try again later';
      throw new TardisError('CLIENT_BUSY', what);
    }
    const entry = new URL('./job-thread.js', import.meta.url);
    const start = { entry, name: 'job', data: task };
    this.thread = new Thread<JobChannel>(start, (message) => this.receive(message));
    jobs += counted;
    this.exited = this.thread.exited.then((error) => {
      jobs -= counted;
      this.end(error);
    });
  }

  /** Returns the news since the last call; waits up to ANSWER_MS if there are none. Throws the error of the job. */
  async news(): Promise<News> {
    if (this.findings.length === 0 && !this.isOver) await this.waitForNews();
    if (this.findings.length === 0 && this.isOver && this.failure !== undefined) throw this.failure;
    const taken = this.findings.splice(0, this.fitting());
    for (const { bytes } of taken) this.waitingBytes -= bytes;
    const findings = taken.map(({ finding }) => finding);
    const isAll = this.findings.length === 0 && this.isOver;
    const { omitted, progress } = this;
    return { findings, omitted, progress, result: isAll ? this.result : undefined };
  }

  async stop(): Promise<void> {
    this.requestStop();
    await this.exited;
  }

  requestStop(): void {
    this.thread.send('stop');
  }

  private async waitForNews(): Promise<void> {
    const news = Promise.withResolvers<void>();
    this.wake = news.resolve;
    await within(news.promise, ANSWER_MS, () => undefined);
    this.wake = undefined;
  }

  private receive(message: FromJob): void {
    switch (message.op) {
      case 'finding':
        this.take(message.finding);
        this.wake?.();
        return;
      case 'progress':
        this.progress = message.progress;
        return;
      case 'done':
        this.result = message.result;
        return;
      case 'failed':
        this.fail(fromWire(message.error));
    }
  }

  private take(passed: ReportedFinding): void {
    const finding = withBuffers(passed);
    const bytes = sizeOf(finding);
    if (this.waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.omitted += 1;
      return;
    }
    this.findings.push({ finding, bytes });
    this.waitingBytes += bytes;
  }

  /** Returns the number of findings that fit into one answer; at least one. */
  private fitting(): number {
    let sum = 0;
    const over = this.findings.findIndex(({ bytes }) => {
      sum += bytes;
      return sum > MAX_REPORTED_BYTES;
    });
    return over < 0 ? this.findings.length : Math.max(1, over);
  }

  private fail(error: TardisError): void {
    if (this.result === undefined) this.failure ??= error;
  }

  private end(error: TardisError): void {
    this.fail(error);
    this.isOver = true;
    this.wake?.();
  }
}

/** Returns a finding with its bytes as Buffers. In a message from another thread they are plain arrays. */
function withBuffers(finding: ReportedFinding): ReportedFinding {
  if (finding.finding !== 'version') return finding;
  const [path, digest] = [Buffer.from(finding.path), Buffer.from(finding.digest)];
  return { ...finding, path, digest };
}

function sizeOf(finding: ReportedFinding): number {
  const sizes = Object.values<unknown>(finding).map((value) => {
    if (Array.isArray(value)) return value.length * NUMBER_BYTES;
    if (Buffer.isBuffer(value)) return value.length;
    return typeof value === 'string' ? Buffer.byteLength(value) : NUMBER_BYTES;
  });
  return sizes.reduce((sum, bytes) => sum + bytes, FINDING_BYTES);
}
