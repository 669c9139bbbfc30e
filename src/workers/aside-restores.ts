/**
 * Runs restore jobs aside: each by one call of the addon, which reads and decodes the records and writes the files. Files
 * that need a decision are left to another runner.
 */
import { TardisError } from '../errors/index.js';
import { digestKeyOf } from '../model/index.js';
import { areOwn, RestoreCursor, type System } from '../system/index.js';
import { AsideJobs } from './aside-jobs.js';
import type { JobInput, JobName, JobRunner, TimedOutput } from './jobs.js';
import { AsidePlan, type Part } from './aside-plan.js';
import { KeptFiles } from './kept-files.js';
import { bytesOf } from './block-builder.js';
import { REPLACED, refusedAmong } from './many-files.js';
import {
  PLACE_NUMBERS,
  type RestoreInput,
  type RestoreJobFailure,
  type RestoreOutput,
} from './restore-types.js';
import { StoredBodies } from './stored-bodies.js';
import { openTarget } from './target-file.js';

const NOTHING: Uint8Array = new Uint8Array(0);

export class AsideRestores extends AsideJobs {
  protected readonly doing = 'restoring';
  protected readonly whole = 'the restore';
  private readonly opened: KeptFiles;
  private readonly isOwn: boolean;

  constructor(system: System, threads: number, others: JobRunner) {
    super(system, threads, others);
    this.opened = new KeptFiles(system);
    this.isOwn = areOwn(system.native, [...REPLACED, 'restoreFiles', 'restoreStoredAside']);
  }

  protected override release(): void {
    this.opened.forget();
  }

  protected workOf<N extends JobName>(
    name: N,
    input: JobInput<N>,
  ): (() => Promise<TimedOutput<JobName>>) | undefined {
    if (name !== 'restore' || !this.isOwn) return undefined;
    const job = input as RestoreInput;
    const plan = new AsidePlan(job);
    return plan.isFit ? () => this.restored(job, plan) : undefined;
  }

  private async restored(input: RestoreInput, plan: AsidePlan): Promise<TimedOutput<'restore'>> {
    const startMs = performance.now();
    const sum = new OutputSum();
    const { native } = this.system;
    const fds = new Int32Array(input.directoryEnds.length).fill(-1);
    const rootFd = openTarget(this.system, input.target);
    try {
      await this.writeAll(input, plan, { rootFd, fds }, sum);
    } finally {
      native.close(rootFd);
    }
    return { output: sum.output, busyMs: performance.now() - startMs };
  }

  private async writeAll(
    input: RestoreInput,
    plan: AsidePlan,
    target: { readonly rootFd: number; readonly fds: Int32Array },
    sum: OutputSum,
  ): Promise<void> {
    const { source, records, keys, rows } = input;
    if ('port' in source)
      throw new TardisError('INTERNAL', 'these records are read through a port');
    using bodies = new StoredBodies(this.system, this.opened, { source, records, keys });
    const fetched = 'stored' in source ? source.stored : NOTHING;
    if (!plan.without(bodies.undecodable)) {
      sum.add((await this.others.run('restore', input)).output, 0);
      return;
    }
    const cursor = new Float64Array(RestoreCursor.numbers);
    let [index, at] = [0, 0];
    while (at < rows.length) {
      cursor.set([index, at, 0, 0, 0]);
      await this.system.native.restoreStoredAside(
        target.rootFd,
        input.directories,
        bytesOf(input.directoryEnds),
        bytesOf(target.fds),
        rows,
        bytesOf(input.places),
        bodies.places,
        bodies.also,
        digestKeyOf(keys),
        input.metadataOptions,
        bytesOf(cursor),
        input.copiedNames,
        fetched,
      );
      const written = cursor[RestoreCursor.file]! - index;
      sum.addWritten(written, cursor[RestoreCursor.writtenBytes]!);
      if (cursor[RestoreCursor.refused] !== 0) {
        sum.addFailures(refusedAmong(input.places, index, index + written), 0);
      }
      index += written;
      at = cursor[RestoreCursor.rowOffset]!;
      if (at >= rows.length) return;
      const part = plan.partFrom(index, at);
      const { output } = await this.others.run('restore', inputOf(input, part));
      sum.add(output, index);
      index += part.files;
      at = part.end;
    }
  }
}

/** The sum of the outputs of parts of a job. */
class OutputSum {
  private files = 0;
  private bytes = 0;
  private unchanged = 0;
  private readonly failures: RestoreJobFailure[] = [];

  get output(): RestoreOutput {
    const { files, bytes, unchanged, failures } = this;
    return { files, bytes, unchanged, failures };
  }

  addWritten(files: number, bytes: number): void {
    this.files += files;
    this.bytes += bytes;
  }

  /** Adds the output of a part that begins with the file `index` of the job. */
  add(part: RestoreOutput, index: number): void {
    this.addWritten(part.files, part.bytes);
    this.unchanged += part.unchanged;
    this.addFailures(part.failures, index);
  }

  addFailures(failures: readonly RestoreJobFailure[], index: number): void {
    for (const failure of failures) {
      this.failures.push({ ...failure, file: failure.file + index });
    }
  }
}

/** Returns the input of a job for a part of the files. Its memory is its own, since a pool copies all of it. */
function inputOf(input: RestoreInput, { index, at, files, end }: Part): RestoreInput {
  const inParts = input.inParts
    .filter(({ file }) => file >= index && file < index + files)
    .map(({ file, pieces }) => ({ file: file - index, pieces }));
  return {
    ...input,
    rows: Uint8Array.prototype.slice.call(input.rows, at, end),
    places: input.places.slice(index * PLACE_NUMBERS, (index + files) * PLACE_NUMBERS),
    inParts,
  };
}
