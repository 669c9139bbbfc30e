/** Long work in a thread that others need too: it lets them in when its slice of time is over. */

const SLICE_MS = 20;

/** Returns a call to be awaited between steps; once in a while it waits for a turn of the event loop. */
export function breather(): () => Promise<void> | undefined {
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
