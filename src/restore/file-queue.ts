/**
 * Turns the files that the walk of a restore meets into jobs. It locates them, holds them until most of their record is
 * found, and limits how much the jobs in flight write. A file with the content of an earlier one is copied from there.
 */
import type { History, KeptReads } from '../history/index.js';
import { TardisError, toWire, type WireError } from '../errors/index.js';
import { Credit } from '../system/index.js';
import { HeldFiles, MAX_HELD } from './held-files.js';
import { expectJobs } from './job-source.js';
import {
  type FileToRestore,
  type LocatedFile,
  locateEach,
  planJobs,
  type RestoreJob,
  type RowMaker,
} from './plan.js';
import { Originals } from './originals.js';
import { missingContent } from './progress.js';

/** Number of files that are located at once. */
const WINDOW_FILES = 1024;
/** Maximum number of copies that wait for the end of the walk. */
const MAX_COPIES = 4096;
/** Number of files located since files were last taken, after which idle workers get files of incomplete records. */
const FILES_UNTIL_OTHERS = 2048;
/** Decoded bytes of jobs, per worker, below which workers get files as soon as most of their record is found. */
const HUNGRY_BYTES_PER_WORKER = 8 << 20;
/** Maximum number of decoded bytes, for each worker, of the jobs that wait or run. A waiting job holds only names. */
const JOB_BYTES_PER_WORKER = 64 << 20;

interface FileQueueOptions {
  /** Number of threads that run the jobs. */
  readonly workers: number;
  readonly rows: RowMaker;
  /** Reads the records, if the store is remote. */
  readonly records: KeptReads | undefined;
  /** Called for each file whose content cannot be located. */
  readonly failed: (file: FileToRestore, error: WireError) => void;
}

export class FileQueue {
  /** Files that are not located yet. */
  private window: FileToRestore[] = [];
  private readonly held = new HeldFiles();
  private readonly originals: Originals;
  private copies: LocatedFile[] = [];
  /** Resolves the promises of the jobs that have not ended yet. */
  private readonly endings = new Map<RestoreJob, () => void>();
  private readonly inFlight: Credit;
  private readonly hungryBytes: number;

  constructor(
    private readonly history: History,
    private readonly options: FileQueueOptions,
  ) {
    this.originals = new Originals(options.records !== undefined);
    const workers = Math.max(options.workers, 1);
    this.inFlight = new Credit(workers * JOB_BYTES_PER_WORKER);
    this.hungryBytes = workers * HUNGRY_BYTES_PER_WORKER;
  }

  add(file: FileToRestore): void {
    this.window.push(file);
  }

  /** Yields the jobs that are due after each step of the walk. */
  async *jobsNow(): AsyncGenerator<RestoreJob> {
    if (this.window.length >= WINDOW_FILES) await this.locateWindow();
    yield* this.admit(this.dueFiles());
    if (this.copies.length >= MAX_COPIES) yield* this.admit(this.takeCopies());
  }

  /** Yields the jobs of all files that are left at the end of the walk. */
  async *remainingJobs(): AsyncGenerator<RestoreJob> {
    await this.locateWindow();
    yield* this.admit(this.held.take(Infinity, Infinity));
    yield* this.admit(this.takeCopies());
  }

  /** Plans files anew that a job did not find where they were located. None of them is copied. */
  async planAgain(files: readonly FileToRestore[]): Promise<RestoreJob[]> {
    return planJobs(await this.locate(files), this.options.rows);
  }

  /** Resolves once a job may run: the files that its copies are made from are written, or could not be. */
  async ready({ after }: RestoreJob): Promise<void> {
    await Promise.all(after);
  }

  /** Notes that a job has ended, so that others are admitted. */
  ended(job: RestoreJob): void {
    this.inFlight.give(job.bytes);
    this.endings.get(job)?.();
    this.endings.delete(job);
  }

  /** Ends the queue after an error, so that nothing waits for jobs that will not end. */
  fail(error: Error): void {
    this.inFlight.fail(error);
    for (const end of this.endings.values()) end();
  }

  /** Locates the files of the window. They are held, or copied if the restore writes their content anyway. */
  private async locateWindow(): Promise<void> {
    const files = this.window;
    this.window = [];
    for (const located of await this.locate(files)) {
      const original = this.originals.of(located);
      if (original === undefined) this.held.add(located);
      else this.copies.push({ ...located, original });
    }
  }

  /** Removes and returns held files: of found records if workers are idle, and others if too many are held. */
  private dueFiles(): LocatedFile[] {
    const { held, hungryBytes, inFlight } = this;
    const tooMany = held.count - MAX_HELD;
    if (held.count === 0 || (tooMany <= 0 && inFlight.used >= hungryBytes)) return [];
    // A remote store is read ahead in the order of its packs, so many of its records are requested together.
    const fullBytes = this.history.isRemote ? inFlight.limit : 2 * hungryBytes;
    const freeBytes = fullBytes - inFlight.used;
    // If the workers wait for the walk, that costs less than decoding records again for each few of their files.
    const files = tooMany > 0 ? held.take(freeBytes, MAX_HELD / 4) : held.takeFound(freeBytes);
    const isIdle = files.length === 0 && inFlight.used === 0;
    return isIdle && held.countSinceTaken >= FILES_UNTIL_OTHERS ? held.take(freeBytes, 0) : files;
  }

  private async locate(files: readonly FileToRestore[]): Promise<LocatedFile[]> {
    const locations = await locateEach(this.history, files);
    const located: LocatedFile[] = [];
    for (const [index, file] of files.entries()) {
      const pieces = file.contentId === undefined ? [] : locations[index];
      if (Array.isArray(pieces)) located.push({ file, pieces });
      else {
        // The content is known to be missing, or the catalog is damaged, so there is no digest to report.
        const error = pieces instanceof TardisError ? toWire(pieces) : missingContent();
        this.options.failed(file, error);
      }
    }
    return located;
  }

  private takeCopies(): LocatedFile[] {
    const { copies } = this;
    this.copies = [];
    return copies;
  }

  private async *admit(files: readonly LocatedFile[]): AsyncGenerator<RestoreJob> {
    if (files.length === 0) return;
    const [planned, again] = this.originals.apart(files);
    const jobs = planJobs(planned, this.options.rows);
    expectJobs(this.options.records, jobs);
    for (const job of jobs) {
      const written = new Promise<void>((resolve) => this.endings.set(job, resolve));
      this.originals.add(job.files, written);
    }
    for (const file of again) this.copies.push({ ...file, original: this.originals.of(file) });
    for (const job of jobs) {
      await this.inFlight.take(job.bytes);
      yield job;
    }
  }
}
