/** Blocks of packed items, and the memory that moves with them between threads. */
import type { ContentBlock } from './jobs.js';

/** Returns the memory of some buffers, to transfer it. Each buffer must own its memory. */
export function memoryOf(
  ...arrays: readonly (Uint8Array | Uint32Array | Int32Array)[]
): ArrayBuffer[] {
  return arrays.map((array) => array.buffer as ArrayBuffer);
}

/** Returns the memory of a block of contents. */
export function memoryOfContents(block: ContentBlock): ArrayBuffer[] {
  const { bytes, digests, starts, sizes, isRaw, kinds, schemes } = block;
  return memoryOf(bytes, digests, starts, sizes, isRaw, kinds, schemes);
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
