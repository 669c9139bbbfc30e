/**
 * Frees the memory of large buffers at once. The garbage collector sees only a small object for each buffer, so
 * tens of megabytes could stay allocated for long. A buffer is transferred to a message port that is closed:
 * the message is dropped, and the memory is freed immediately. All views on the memory become empty, so a
 * caller that needs a part must copy it first.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';

let nowhere: MessagePort | undefined;

/**
 * Frees the memory behind `bytes` if `bytes` covers all of it. Has no effect on a view of a part of the memory, nor on
 * memory that threads share.
 */
export function releaseMemory(bytes: Uint8Array): void {
  releaseAll([bytes]);
}

/** Returns the memory behind `bytes`, to be moved to another thread, if `bytes` covers all of it; else nothing. */
export function ownMemory({ buffer, byteLength }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
}

/**
 * Frees several buffers as `releaseMemory` does, at much less cost than one by one. A buffer may occur twice.
 */
export function releaseAll(blocks: readonly Uint8Array[]): void {
  releaseBuffers([...new Set(blocks.flatMap(ownMemory))]);
}

/** Frees these buffers; none may occur twice. Buffers that were freed before are skipped. */
export function releaseBuffers(buffers: readonly ArrayBuffer[]): void {
  const held = buffers.filter((buffer) => buffer.byteLength > 0);
  if (held.length === 0) return;
  if (nowhere === undefined) {
    // This end of the channel is closed, not the other one. Closing the other end would take effect in the
    // event loop, which a worker rarely enters; messages would stay allocated until then.
    nowhere = new MessageChannel().port1;
    nowhere.close();
  }
  nowhere.postMessage(undefined, held);
}
