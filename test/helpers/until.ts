/** Waiting in tests. A test waits for an event or for something to hold; for a time only if a time is its subject. */
import { type NativeCalls, nodeSystem, type System } from '../../src/system/index.js';

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

/** Starts work, and waits until it has ended or waits for a lock (flock) that another holder has. */
export async function untilLocked<T>(
  work: (system: System) => Promise<T>,
): Promise<{ readonly ended: Promise<T> }> {
  const system = nodeSystem();
  return new Promise((resolve) => {
    const flock: NativeCalls['flock'] = (...parts) => {
      const isHeld = system.native.flock(...parts);
      if (!isHeld) resolve(started);
      return isHeld;
    };
    const ended = Promise.resolve().then(() =>
      work({ ...system, native: { ...system.native, flock } }),
    );
    const started = { ended };
    const end = (): void => resolve(started);
    ended.then(end, end);
  });
}
