/** Retries a lock that is just being released. */

/**
 * Milliseconds within which a released lock is free. Its holder may still be writing, and a child process that
 * any thread of this process is starting shares its descriptors until `exec`.
 */
const PATIENCE_MS = 2000;
const RETRY_MS = 50;

/**
 * Tries to take a lock until `attempt` returns a value, for at most `patienceMs`. Returns undefined if the lock
 * stays held.
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
