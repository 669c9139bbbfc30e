/** Blocks of packed items, and the memory that moves with them between threads. */
import type { MessagePort } from 'node:worker_threads';
import { releaseBuffers } from '../model/index.js';
import type { ContentBlock } from './jobs.js';

/** Returns the memory of some buffers, for the list of what a message transfers. Each buffer must own its memory. */
export function transferOf(
  ...arrays: readonly (Uint8Array | Uint32Array | Int32Array)[]
): ArrayBuffer[] {
  return arrays.map((array) => array.buffer as ArrayBuffer);
}

/** Returns the memory of a block of contents, to transfer it. */
export function transferOfContents(block: ContentBlock): ArrayBuffer[] {
  const { bytes, digests, starts, sizes, isRaw, kinds, schemes, access } = block;
  return transferOf(bytes, digests, starts, sizes, isRaw, kinds, schemes, access);
}

/** Frees memory that was handed over to a job, as moving it to another thread does for the caller. */
export function releaseMoved(transfer: readonly (ArrayBuffer | MessagePort)[]): void {
  releaseBuffers([...new Set(transfer.filter((moved) => moved instanceof ArrayBuffer))]);
}

/** Returns a view of the n-th item of a block. `ends` has the end of each item. */
export function runOf(bytes: Uint8Array, ends: Uint32Array, index: number): Buffer {
  const start = index === 0 ? 0 : ends[index - 1]!;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, ends[index]! - start);
}

/** Returns the bytes of an array of numbers, not copied. */
export function bytesOf(numbers: Uint32Array | Int32Array | Float64Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
