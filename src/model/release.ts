/**
 * Gives large memory back at once. Left to the garbage collector, which sees only a small object for
 * each buffer, tens of megabytes would wait for it. Sending a buffer to a port whose other end is
 * closed moves it nowhere: it is freed there and then, and every view on it becomes empty, so whoever
 * keeps a part must have copied it.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';

let nowhere: MessagePort | undefined;

/** Frees the memory if the buffer has it to itself; else does nothing. */
export function releaseMemory(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== bytes.byteLength) return;
  releaseBuffers([buffer]);
}

/** Frees these buffers, each named once. */
export function releaseBuffers(buffers: readonly ArrayBuffer[]): void {
  const held = buffers.filter((buffer) => buffer.byteLength > 0);
  if (held.length === 0) return;
  if (nowhere === undefined) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    port1.unref();
    nowhere = port1;
  }
  nowhere.postMessage(undefined, held);
}
