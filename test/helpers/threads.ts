/** Finds the worker threads that a call starts, so that a test can end one of them. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';

const CHANNEL = 'worker_threads';

/** Runs `work`, and returns its result with the threads that were started meanwhile in this thread. */
export async function threadsOf<T>(
  work: (threads: readonly Worker[]) => T | Promise<T>,
): Promise<{ result: T; threads: readonly Worker[] }> {
  const threads: Worker[] = [];
  const note = (message: unknown): void => {
    threads.push((message as { worker: Worker }).worker);
  };
  subscribe(CHANNEL, note);
  try {
    return { result: await work(threads), threads };
  } finally {
    unsubscribe(CHANNEL, note);
  }
}
