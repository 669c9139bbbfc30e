/** Runs jobs in a pool of worker threads. Outside of the threads, only this file uses piscina. */
import { once } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { asTardisError, fromWire } from '../errors/index.js';
import { type System, within } from '../system/index.js';
import type { JobInput, JobName, JobOutput, RangeInput, RangeOutput, TimedOutput } from './jobs.js';
import { SharedDigests } from './recent-digests.js';
import { JobRunner, type OnChunk, type Transfer } from './job-runner.js';
import type { ThreadAnswer, ThreadTask } from './thread-entry.js';

export interface PoolOptions {
  readonly threads: number;
  /** Number of digests remembered so that repeated contents are not sent; a power of two, 32 bytes each. */
  readonly recentDigests: number;
  /** The digests so far; undefined if there are none. */
  readonly recent?: SharedDigests;
}

/**
 * Time after which an idle thread ends. It is long, since keeping a thread during a pause costs less than starting it
 * again.
 */
const IDLE_TIMEOUT_MS = 600_000;
/**
 * Limits of a worker's heap. A small young generation suffices, since a worker's garbage is short-lived, and it saves
 * memory.
 */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 4 };
/** Time within which a thread without a fault loads its modules. */
const LOAD_TIMEOUT_MS = 10_000;

export class JobPool extends JobRunner {
  readonly recent: SharedDigests;
  private readonly piscina: Piscina<ThreadTask, ThreadAnswer>;
  /** Shared memory that is 1 once no range is to be read. */
  private readonly stopped = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  /** Resolves when the first thread has loaded its modules, or failed to; its jobs report the failure. */
  readonly loaded: Promise<unknown>;

  constructor(system: System, options: PoolOptions) {
    super(system.native);
    this.recent = options.recent ?? SharedDigests.create(options.recentDigests);
    this.piscina = new Piscina({
      filename: new URL('./thread-entry.js', import.meta.url).href,
      minThreads: 1, // the others start when there is work for them, and stay
      idleTimeout: IDLE_TIMEOUT_MS,
      maxThreads: options.threads,
      concurrentTasksPerWorker: 1,
      resourceLimits: RESOURCE_LIMITS,
      argv: process.argv.slice(1, 2), // the command whose compiled code the thread uses
      workerData: { recent: this.recent.buffer, stopped: this.stopped },
      recordTiming: false,
    });
    // The thread's first message, which piscina sends, means that it is ready.
    const ready = this.piscina.threads.map((thread) => once(thread, 'message'));
    this.loaded = Promise.allSettled(ready);
  }

  async run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: Transfer = [],
  ): Promise<TimedOutput<N>> {
    const transferList = [...new Set(transfer)].filter(
      (moved) => !(moved instanceof ArrayBuffer) || moved.byteLength > 0,
    );
    const answer = await this.send({ kind: 'job', name, input }, transferList);
    return { output: answer.output as JobOutput<N>, busyMs: answer.busyMs };
  }

  async runRange(input: RangeInput, windowChunks: number, onChunk: OnChunk): Promise<RangeOutput> {
    const { port1, port2 } = new MessageChannel();
    const allowed = new Int32Array(new SharedArrayBuffer(4));
    allowed[0] = windowChunks;
    let failure: unknown;
    const taken = takeChunks(port1, allowed, onChunk);
    taken.catch((error: unknown) => {
      failure = error; // the reader still runs, and ends because of this
    });
    try {
      // The first failure counts: a stopped reader reports only that it was stopped.
      const sent = this.send({ kind: 'range', input, port: port2, allowed }, [port2]);
      const [answer] = await Promise.all([sent, taken]);
      return answer.output as RangeOutput;
    } catch (error) {
      throw failure ?? error;
    } finally {
      stop(allowed);
      port1.close();
    }
  }

  stopRanges(): void {
    Atomics.store(this.stopped, 0, 1); // a reader that sleeps is woken by the failure of its chunks
  }

  /** Ends all threads, even while they work. It waits until the first has loaded, since Node crashes before that. */
  async close(): Promise<void> {
    await within(this.loaded, LOAD_TIMEOUT_MS, () => undefined);
    // The answer of an abandoned job may be in flight. Piscina emits an error for it, which would crash the process.
    this.piscina.on('error', () => undefined);
    await this.piscina.destroy();
  }

  private async send(
    task: ThreadTask,
    transferList: (ArrayBuffer | MessagePort)[],
  ): Promise<Extract<ThreadAnswer, { ok: true }>> {
    let answer: ThreadAnswer;
    try {
      answer = await this.piscina.run(task, { transferList });
    } catch (error) {
      throw asTardisError(error, 'a worker');
    }
    if (!answer.ok) throw fromWire(answer.error);
    return answer;
  }
}

/**
 * Passes each chunk to `onChunk` in order, and allows the reader one more for each chunk that is done. Resolves when
 * the reader has sent null (no more chunks) and all chunks are done. The `close` event of a port cannot replace the
 * null, since the thread sleeps until its next task before it would send the event.
 */
function takeChunks(port: MessagePort, allowed: Int32Array, onChunk: OnChunk): Promise<void> {
  return new Promise((resolve, reject) => {
    const open = new Set<Promise<void>>();
    port.on('message', (chunk: Uint8Array | null) => {
      if (chunk === null) {
        Promise.all(open).then(() => resolve(), reject);
        return;
      }
      const taken: Promise<void> = onChunk(chunk).then(
        () => {
          open.delete(taken);
          if (Atomics.load(allowed, 0) >= 0) Atomics.add(allowed, 0, 1);
          Atomics.notify(allowed, 0);
        },
        (error: unknown) => {
          stop(allowed);
          reject(error);
        },
      );
      open.add(taken);
    });
  });
}

/** Wakes the reader and makes it stop. */
function stop(allowed: Int32Array): void {
  Atomics.store(allowed, 0, -1);
  Atomics.notify(allowed, 0);
}
