/**
 * Gives the memory of a large message back at once. Left to the garbage collector, which sees only a
 * small object for each, tens of megabytes of handled messages would wait for it. Sending a buffer to
 * a port whose other end is closed moves it nowhere: it is freed there and then, and every view on it
 * becomes empty, so a sender of views must have copied what it keeps.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';

let nowhere: MessagePort | undefined;

/** Frees the memory if the buffer has it to itself; else does nothing. */
export function releaseMemory(bytes: Buffer): void {
  const { buffer } = bytes;
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== bytes.byteLength) return;
  if (nowhere === undefined) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    port1.unref();
    nowhere = port1;
  }
  nowhere.postMessage(undefined, [buffer]);
}
