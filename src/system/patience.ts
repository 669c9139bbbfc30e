/** Waiting for a lock that is just being let go. */

/**
 * A lock that was let go is free within this time: its holder may be writing what it must, and a child
 * process being started anywhere in this process shares our descriptors until its `exec`.
 */
const PATIENCE_MS = 2000;
const RETRY_MS = 50;

/**
 * Tries to take a lock until `attempt` gives something, or for a moment (or `patienceMs`); undefined: it is
 * held.
 */
export async function lockPatiently<T>(
  attempt: () => T | undefined,
  patienceMs = PATIENCE_MS,
): Promise<T | undefined> {
  for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
    const held = attempt();
    if (held !== undefined || waitedMs >= patienceMs) return held;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
