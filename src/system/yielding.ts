/** Lets long work in a shared thread yield to other tasks whenever its time slice ends. */
import { throwIfAborted } from '../errors/index.js';

const SLICE_MS = 20;

/**
 * Returns a function to await between steps; about every 20 ms it waits for one turn of the event loop. It throws
 * INTERRUPTED once the signal is aborted.
 */
export function yieldRegularly(signal?: AbortSignal): () => Promise<void> | undefined {
  let sliceEndsMs = performance.now() + SLICE_MS;
  return () => {
    throwIfAborted(signal);
    if (performance.now() < sliceEndsMs) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        sliceEndsMs = performance.now() + SLICE_MS;
        resolve();
      });
    });
  };
}
