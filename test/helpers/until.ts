/** Waiting in tests. A test waits for an event or for something to hold; for a time only if a time is its subject. */

/** `until` gives up after this many looks, at least a minute. A busy machine takes longer for each. */
const MOST_LOOKS = 3000;
const LOOK_MS = 20;

/** Waits until something holds. Throws if it does not after MOST_LOOKS looks. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; !(await holds()); looks += 1) {
    if (looks >= MOST_LOOKS) throw new Error(`it never happened: ${String(holds)}`);
    await pause(LOOK_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
