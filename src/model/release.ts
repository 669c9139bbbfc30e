/**
 * Gives large memory back at once. Left to the garbage collector, which sees only a small object for
 * each buffer, tens of megabytes would wait for it. What is sent through a port that is closed goes
 * nowhere, but is taken from the sender all the same: it is freed there and then, and every view on it
 * becomes empty, so whoever keeps a part must have copied it.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';

let nowhere: MessagePort | undefined;

/** Frees the memory if the buffer has it to itself; else does nothing. */
export function releaseMemory(bytes: Uint8Array): void {
  releaseAll([bytes]);
}

/** The same for several, which costs much less than one by one. One may be there twice. */
export function releaseAll(blocks: readonly Uint8Array[]): void {
  const own = new Set<ArrayBuffer>();
  for (const { buffer, byteLength } of blocks) {
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) own.add(buffer);
  }
  releaseBuffers([...own]);
}

/** Frees these buffers, each named once. */
export function releaseBuffers(buffers: readonly ArrayBuffer[]): void {
  const held = buffers.filter((buffer) => buffer.byteLength > 0);
  if (held.length === 0) return;
  if (nowhere === undefined) {
    // Our own end: the other one's closing would wait for the event loop, which a worker rarely enters,
    // and until then it would keep what it gets.
    nowhere = new MessageChannel().port1;
    nowhere.close();
  }
  nowhere.postMessage(undefined, held);
}
