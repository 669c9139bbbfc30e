/** Lets long work in a shared thread yield to other tasks whenever its time slice ends. */

const SLICE_MS = 20;

/** Returns a function to await between steps; about every 20 ms it waits for one turn of the event loop. */
export function yieldRegularly(): () => Promise<void> | undefined {
  let sliceEndsMs = performance.now() + SLICE_MS;
  return () => {
    if (performance.now() < sliceEndsMs) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        sliceEndsMs = performance.now() + SLICE_MS;
        resolve();
      });
    });
  };
}
