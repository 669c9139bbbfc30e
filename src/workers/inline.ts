/**
 * Jobs in the calling thread, one at a time and in order: for tests that need determinism, and for
 * machines with too little memory for threads.
 */
import type { MessagePort } from 'node:worker_threads';
import { LoadedSignature } from '../delta/index.js';
import { asTardisError } from '../errors/index.js';
import { releaseBuffers } from '../model/index.js';
import type { SealingCalls, System } from '../system/index.js';
import type { JobInput, JobName, JobRunner, RangeInput, RangeOutput, TimedOutput } from './jobs.js';
import { rangeJob } from './range-job.js';
import { SharedDigests } from './recent-digests.js';
import { runJob } from './run-job.js';

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export class InlineJobs implements JobRunner {
  readonly recent: SharedDigests;
  private last: Promise<unknown> = Promise.resolve();
  private readonly system: System;

  constructor(system: System, recentDigests = 1024) {
    this.system = system;
    this.recent = SharedDigests.create(recentDigests);
  }

  async run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: readonly (ArrayBuffer | MessagePort)[] = [],
  ): Promise<TimedOutput<N>> {
    const { system, recent } = this;
    return this.inTurn(async () => {
      const startMs = performance.now();
      const { output, transfer: kept } = await runJob(name, input, { system, recent });
      // As in a pool, what was handed over is gone; a job may have filled it again for its output.
      const gone = new Set(transfer.filter((moved) => moved instanceof ArrayBuffer));
      for (const buffer of kept) gone.delete(buffer);
      releaseBuffers([...gone]);
      return { output, busyMs: performance.now() - startMs };
    });
  }

  async runRange(
    input: RangeInput,
    windowChunks: number,
    onChunk: (chunk: Uint8Array) => Promise<void>,
  ): Promise<RangeOutput & { busyMs: number }> {
    return this.inTurn(async () => {
      const startMs = performance.now();
      const chunks = rangeJob(input, this.system);
      const open: Promise<void>[] = [];
      try {
        for (;;) {
          const next = chunks.next();
          if (next.done === true) {
            await Promise.all(open);
            return { ...next.value, busyMs: performance.now() - startMs };
          }
          const taken = onChunk(next.value);
          taken.catch(() => undefined); // shows where it is waited for, unless an earlier one failed
          open.push(taken);
          if (open.length >= windowChunks) await open.shift();
        }
      } finally {
        chunks.return({} as RangeOutput); // closes the file when no more is wanted of it
      }
    });
  }

  get native(): SealingCalls {
    return this.system.native;
  }

  loadSignature(basisBytes: number, signedBytes?: number): LoadedSignature {
    return new LoadedSignature(this.system.native, basisBytes, signedBytes);
  }

  async close(): Promise<void> {
    await this.last;
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    // Between jobs sockets have their turn: a row of jobs in one thread must not keep them waiting.
    const done = this.last.then(turn).then(work);
    this.last = done.catch(() => undefined); // the caller sees the failure
    return done.catch((error: unknown) => {
      throw asTardisError(error);
    });
  }
}
