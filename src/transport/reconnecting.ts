/** Replaces the connection of a client's session each time it is lost. */
import type { System } from '../system/index.js';
import { Backoff, type Patience, type Retry } from './backoff.js';

export class Reconnecting {
  private backoff: Backoff | undefined;
  /** Number of answers that had been handled when a connection was lost last. */
  private handledBefore = 0;
  private readonly start: () => Backoff;

  /** Aborting `signal` ends a delay at once. */
  constructor(
    system: System,
    patience: Patience,
    signal: AbortSignal,
    private readonly onRetry: (retry: Retry) => void,
  ) {
    this.start = () => new Backoff(system, patience, signal);
  }

  /** Returns a function that waits before each further attempt to make a first connection; see `Backoff.wait`. */
  first(): (reason: unknown) => Promise<void> {
    const backoff = this.start();
    return (reason) => backoff.wait(reason, this.onRetry);
  }

  /**
   * Calls `attempt` after growing delays, until it succeeds. `handled` is the number of answers that have been handled
   * so far. Throws the reason of the loss, or a later error, if it is permanent or the time is up.
   */
  async replace(reason: unknown, handled: number, attempt: () => Promise<void>): Promise<void> {
    // The time for retries counts from the first loss. A connection that brought no answers does not restart that time.
    if (handled > this.handledBefore || this.backoff === undefined) this.backoff = this.start();
    const { backoff } = this;
    this.handledBefore = handled;
    for (let why = reason; ; ) {
      await backoff.wait(why, this.onRetry);
      try {
        await attempt();
        return;
      } catch (error) {
        why = error;
      }
    }
  }
}
