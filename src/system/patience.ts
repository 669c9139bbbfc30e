/** Retries a lock that another process may be about to release. */

/**
 * Milliseconds to wait for a lock. Its holder may be about to release it. Also, a child process that this process has
 * just started shares its descriptors, and with them the lock, until `exec`.
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
