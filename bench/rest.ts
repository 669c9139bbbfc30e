import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Milliseconds that a tree rests after a change before a backup. Backup programs do not trust an entry that was changed
 * within the last second or two, and would read it again, which costs time.
 */
const REST_MS = 3500;

/** Waits until the tree that changed has rested. `changedAtMs` is by `performance.now()`: this moment if it is left out. */
export async function rest(changedAtMs = performance.now()): Promise<void> {
  await sleep(Math.max(0, changedAtMs + REST_MS - performance.now()));
}
