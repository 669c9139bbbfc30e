/** Takes locks: some file systems have none, and another process may be about to release one. */
import { systemCode } from '../errors/index.js';
import type { NativeCalls } from './native.js';

/** Errors of a file system without locks, such as NFS without its lock service. */
const WITHOUT_LOCKS: ReadonlySet<string> = new Set(['ENOSYS', 'ENOLCK', 'ENOTSUP']);

/** The result of an attempt to lock a file: `none` if its file system has no locks. */
type LockResult = 'held' | 'busy' | 'none';

/** Locks an open file, by default exclusively, and returns at once. */
export function tryFlock(
  { flock }: Pick<NativeCalls, 'flock'>,
  fd: number,
  isExclusive = true,
): LockResult {
  try {
    return flock(fd, isExclusive) ? 'held' : 'busy';
  } catch (error) {
    if (WITHOUT_LOCKS.has(systemCode(error) ?? '')) return 'none';
    throw error;
  }
}

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

/** Locks an open file as `tryFlock` does, and waits for another process as `lockPatiently` does. */
export async function flockPatiently(
  native: Pick<NativeCalls, 'flock'>,
  fd: number,
  patienceMs = PATIENCE_MS,
): Promise<LockResult> {
  const attempt = (): LockResult | undefined => {
    const result = tryFlock(native, fd);
    return result === 'busy' ? undefined : result;
  };
  return (await lockPatiently(attempt, patienceMs)) ?? 'busy';
}

/** Receives what the program waits for on another machine, so that a user knows why nothing happens. */
let report: (text: string) => void = () => undefined;

/** Sets the function that receives the reports of this thread; before that they are dropped. */
export function onLongWait(listener: (text: string) => void): void {
  report = listener;
}

export function reportLongWait(text: string): void {
  report(text);
}
