/** The interface of all runners of jobs: in a pool of threads, on threads of libuv's pool, or in the calling thread. */
import type { MessagePort } from 'node:worker_threads';
import { LoadedSignature } from '../delta/index.js';
import type { NativeCalls } from '../system/index.js';
import type {
  JobInput,
  JobName,
  RangeInput,
  RangeOutput,
  RecentDigests,
  TimedOutput,
} from './jobs.js';

/** Buffers and ports that move to the job. */
export type Transfer = readonly (ArrayBuffer | MessagePort)[];
export type OnChunk = (chunk: Uint8Array) => Promise<void>;

export abstract class JobRunner implements AsyncDisposable {
  /** `native`: the addon, in the calling thread. */
  constructor(readonly native: NativeCalls) {}

  /** Digests of contents that this session has sent, or that the server is known to have. */
  abstract readonly recent: RecentDigests;

  /** Runs a job. Rejects with a TardisError. The buffers in `transfer` cannot be used afterwards. */
  abstract run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer?: Transfer,
  ): Promise<TimedOutput<N>>;

  /**
   * Reads a range of a file. `onChunk` gets each encoded chunk. The reader pauses while `windowChunks` promises of
   * `onChunk` are pending.
   */
  abstract runRange(
    input: RangeInput,
    windowChunks: number,
    onChunk: OnChunk,
  ): Promise<RangeOutput>;

  /** Makes the reading of ranges fail soon, also that which begins later. It is for a run that has failed. */
  abstract stopRanges(): void;

  abstract close(): Promise<void>;

  /** Loads a signature for delta jobs in any thread; see LoadedSignature. */
  loadSignature(basisBytes: number, signedBytes?: number, from?: number): LoadedSignature {
    return new LoadedSignature(this.native, basisBytes, signedBytes, from);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
