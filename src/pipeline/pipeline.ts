/** The pipeline of one backup, as its caller uses it. `backup.ts` contains the stages. */
import { lastValueFrom } from 'rxjs';
import { asTardisError } from '../errors/index.js';
import type { Failure, JobRunner } from '../workers/index.js';
import { backup } from './backup.js';
import type { Budget } from './budget.js';
import { Context, type ContextParts } from './context.js';
import type { BackupProgress } from './progress.js';
import type { SimilarPlace } from './similar.js';
import type { StageFigures } from './stage.js';

export class BackupPipeline {
  private readonly context: Context;

  constructor(jobs: JobRunner, parts: ContextParts) {
    this.context = new Context(jobs, parts);
  }

  get progress(): BackupProgress {
    return this.context.progress;
  }

  get budget(): Budget {
    return this.context.budget;
  }

  /** Runs until the whole tree is backed up. Rejects at the first failure that affects more than one file. */
  async run(): Promise<void> {
    const { budget, outbox } = this.context;
    try {
      await lastValueFrom(backup(this.context), { defaultValue: undefined });
      outbox.flush();
    } catch (error) {
      const failure = asTardisError(error);
      budget.fail(failure);
      throw failure;
    }
  }

  /** Increases the maximum number of bytes in flight, on a link with long round trips. */
  widen(bytes: number): void {
    const { budget, streams } = this.context;
    budget.bytes.grow(bytes);
    if (bytes > 0) streams.widen();
  }

  /** Names the file in which this machine remembers large contents. Call it before the first answer of the server. */
  rememberAt(place: SimilarPlace): void {
    this.context.similar.at(place);
  }

  /** Remembers the large contents of this set, which is complete. Returns messages for the user about failures. */
  remember(): readonly string[] {
    return this.context.similar.save();
  }

  /** Returns the figures of all stages, in pipeline order. */
  figures(): StageFigures[] {
    return this.context.counters.figures();
  }

  /** Records failures in the set, and reports them. */
  note(failures: readonly Failure[]): void {
    this.context.report.note(failures);
  }

  /** Counts and reports failures that cannot be recorded at an entry of the set. */
  reportFailures(failures: readonly Failure[]): void {
    this.context.report.reportFailures(failures);
  }
}
