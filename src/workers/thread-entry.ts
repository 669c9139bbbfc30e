/** Entry point of a worker thread: runs jobs and sends their results back as plain data. */
import type { MessagePort } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { toWire, type WireError } from '../errors/index.js';
import { releaseBuffers } from '../model/index.js';
import { keepBlocksSmall, nodeSystem } from '../system/index.js';
import { type JobContext, JobMemory } from './job-context.js';
import type { JobInput, JobName, JobOutput, JobResult, RangeInput, RangeOutput } from './jobs.js';
import { rangeJob } from './range-job.js';
import { SharedDigests } from './recent-digests.js';
import { runJob } from './run-job.js';

export type ThreadTask =
  | { readonly kind: 'job'; readonly name: JobName; readonly input: JobInput<JobName> }
  | {
      readonly kind: 'range';
      readonly input: RangeInput;
      /** Port to which the encoded chunks are sent. */
      readonly port: MessagePort;
      /** Number of chunks that may have been sent so far; -1 stops the reader. */
      readonly allowed: Int32Array;
    };

export type ThreadAnswer =
  | {
      readonly ok: true;
      readonly output: JobOutput<JobName> | RangeOutput;
      readonly busyMs: number;
    }
  | { readonly ok: false; readonly error: WireError };

keepBlocksSmall();

/** Memory that all threads of the pool share. */
const shared = workerData as { recent: SharedArrayBuffer; stopped: Int32Array };

const context: JobContext = {
  system: nodeSystem(),
  recent: new SharedDigests(shared.recent),
  memory: new JobMemory(),
};
/** Time after which the main thread counts as ended or stuck if it allows no chunk. */
const ALLOW_TIMEOUT_MS = 24 * 3600 * 1000;

/** Memory of the previous job's input. The answer of that job, which may refer to it, has been sent. */
let spent: readonly ArrayBuffer[] = [];

export default async function runTask(task: ThreadTask): Promise<unknown> {
  // A thread makes little garbage besides its buffers, so its collector would free them late.
  releaseBuffers(spent);
  spent = [];
  const startMs = performance.now();
  try {
    const result: JobResult<JobOutput<JobName> | RangeOutput> =
      task.kind === 'job'
        ? await runJob(task.name, task.input, context)
        : { output: pumpRange(task), transfer: [] };
    const busyMs = performance.now() - startMs;
    spent = buffersOf(task.input);
    return moved({ ok: true, output: result.output, busyMs }, result.transfer);
  } catch (error) {
    const answer: ThreadAnswer = { ok: false, error: toWire(error) };
    return answer;
  }
}

/** Returns the memory of a job's input, which only this thread uses. */
function buffersOf(input: object): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const look = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) {
      if (value.buffer instanceof ArrayBuffer) found.add(value.buffer);
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const part of Object.values(value)) look(part);
    }
  };
  look(input);
  return [...found];
}

function moved(answer: ThreadAnswer, transfer: readonly ArrayBuffer[]): unknown {
  const distinct = [...new Set(transfer)].filter((buffer) => buffer.byteLength > 0);
  return move({ [transferableSymbol]: distinct, [valueSymbol]: answer });
}

/** Sends as many chunks ahead as the main thread allows, and sleeps in between. */
function pumpRange(task: Extract<ThreadTask, { kind: 'range' }>): RangeOutput {
  const { port, allowed } = task;
  const chunks = rangeJob(task.input, context.system);
  let sent = 0;
  try {
    for (;;) {
      const next = chunks.next();
      if (next.done === true) return next.value;
      for (;;) {
        const limit = Atomics.load(allowed, 0);
        if (limit < 0 || Atomics.load(shared.stopped, 0) !== 0)
          throw new Error('the session is over');
        if (sent < limit) break;
        if (Atomics.wait(allowed, 0, limit, ALLOW_TIMEOUT_MS) === 'timed-out') {
          throw new Error('nobody takes the chunks');
        }
      }
      const chunk = next.value;
      if (chunk.length === 0) continue;
      port.postMessage(chunk, [chunk.buffer as ArrayBuffer]);
      sent += 1;
    }
  } finally {
    chunks.return({} as RangeOutput);
    port.postMessage(null); // no more chunks
  }
}
