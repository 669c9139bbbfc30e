/** Blocks of runs, and the memory that moves with them between threads. */
import type { ContentBlock } from './jobs.js';

/** The memory behind some buffers, for moving them. All of them must own theirs. */
export function memoryOf(
  ...arrays: readonly (Uint8Array | Uint32Array | Int32Array)[]
): ArrayBuffer[] {
  return arrays.map((array) => array.buffer as ArrayBuffer);
}

/** The memory behind a block of contents. */
export function memoryOfContents(block: ContentBlock): ArrayBuffer[] {
  const { bytes, digests, starts, sizes, isRaw, kinds, schemes } = block;
  return memoryOf(bytes, digests, starts, sizes, isRaw, kinds, schemes);
}

/** The n-th run of a block whose runs end at `ends`. A view, not a copy. */
export function runOf(bytes: Uint8Array, ends: Uint32Array, index: number): Buffer {
  const start = index === 0 ? 0 : ends[index - 1]!;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, ends[index]! - start);
}
