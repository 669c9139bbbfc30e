/**
 * Runs restore jobs on threads of libuv's pool: each by one call of the addon, which reads and decodes the records and
 * writes the files. These threads share the memory of the process, whereas a worker thread has its own heap and compiled
 * code. Files that need a decision, and all other jobs, are left to another runner.
 */
import type { MessagePort } from 'node:worker_threads';
import type { LoadedSignature } from '../delta/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { areOwn, RestoreCursor, type SealingCalls, type System } from '../system/index.js';
import { Credit } from '../transport/index.js';
import type {
  JobInput,
  JobName,
  JobRunner,
  RangeInput,
  RangeOutput,
  RecentDigests,
  TimedOutput,
} from './jobs.js';
import { AsidePlan, type Part } from './aside-plan.js';
import { KeptFiles } from './kept-files.js';
import { bytesOf, REPLACED } from './many-files.js';
import {
  PLACE_NUMBERS,
  type RestoreInput,
  type RestoreJobFailure,
  type RestoreOutput,
} from './restore-types.js';
import { StoredBodies } from './stored-bodies.js';

const NOTHING: Uint8Array = new Uint8Array(0);

export class AsideRestores implements JobRunner {
  private readonly turns: Credit;
  private readonly opened: KeptFiles;
  private readonly running = new Set<Promise<unknown>>();
  private readonly isOwn: boolean;
  private readonly system: System;
  private readonly others: JobRunner;

  /** Runs `threads` restore jobs at once. `others` runs everything else, and is closed with this runner. */
  constructor(system: System, threads: number, others: JobRunner) {
    this.system = system;
    this.others = others;
    this.turns = new Credit(threads);
    this.opened = new KeptFiles(system);
    this.isOwn = areOwn(system.native, [...REPLACED, 'restoreFiles', 'restoreStoredAside']);
  }

  async run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: readonly (ArrayBuffer | MessagePort)[] = [],
  ): Promise<TimedOutput<N>> {
    if (name !== 'restore' || !this.isOwn) return this.others.run(name, input, transfer);
    const plan = new AsidePlan(input as RestoreInput);
    if (!plan.isFit) return this.others.run(name, input, transfer);
    const done = this.inTurn(() => this.restored(input as RestoreInput, plan));
    this.running.add(done);
    try {
      return (await done) as TimedOutput<N>;
    } catch (error) {
      throw asTardisError(error, 'restoring');
    } finally {
      this.running.delete(done);
    }
  }

  runRange(
    input: RangeInput,
    windowChunks: number,
    onChunk: (chunk: Uint8Array) => Promise<void>,
  ): Promise<RangeOutput> {
    return this.others.runRange(input, windowChunks, onChunk);
  }

  loadSignature(basisBytes: number, signedBytes?: number): LoadedSignature {
    return this.others.loadSignature(basisBytes, signedBytes);
  }

  get native(): SealingCalls {
    return this.others.native;
  }

  get recent(): RecentDigests {
    return this.others.recent;
  }

  /** Ends once the jobs that run have ended; those that wait are rejected. */
  async close(): Promise<void> {
    this.turns.fail(new TardisError('INTERRUPTED', 'the restore ends'));
    await Promise.allSettled(this.running);
    this.opened.forget();
    await this.others.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    await this.turns.take(1);
    try {
      return await work();
    } finally {
      this.turns.give(1);
    }
  }

  private async restored(input: RestoreInput, plan: AsidePlan): Promise<TimedOutput<'restore'>> {
    const startMs = performance.now();
    const sum = new OutputSum();
    const { native } = this.system;
    const fds = new Int32Array(input.directoryEnds.length).fill(-1);
    const rootFd = native.openDirectory(Buffer.from(input.targetPath));
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
      cursor.set([index, at, 0, 0]);
      await this.system.native.restoreStoredAside(
        target.rootFd,
        input.directories,
        bytesOf(input.directoryEnds),
        bytesOf(target.fds),
        rows,
        bytesOf(input.places),
        bodies.places,
        bodies.also,
        keys?.digests ?? NOTHING,
        input.ownerOptions,
        bytesOf(cursor),
        input.copiedNames,
        fetched,
      );
      const written = cursor[RestoreCursor.file]! - index;
      sum.addWritten(written, cursor[RestoreCursor.writtenBytes]!);
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
    for (const failure of part.failures) {
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
