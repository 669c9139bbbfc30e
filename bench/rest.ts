import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Milliseconds that a tree rests between a change and a backup. Backup programs do not trust an entry that was changed
 * within the last second or two. They would read it again, which takes time.
 */
const REST_MS = 3500;

/**
 * Waits until a changed tree has rested. `changedAtMs` is the time of the change by `performance.now()`; the default is
 * now.
 */
export async function rest(changedAtMs = performance.now()): Promise<void> {
  await sleep(Math.max(0, changedAtMs + REST_MS - performance.now()));
}
