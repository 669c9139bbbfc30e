/**
 * Limit on the clients that one address may create. With AllowNewHosts, any peer that reaches the server could
 * otherwise fill its store with clients.
 */
import { TardisError } from '../../errors/index.js';
import type { Clock } from '../../system/index.js';
import { LeakyCounts } from '../limits/leaky-counts.js';

/** Milliseconds after which an address may create one more client, once it has created as many as it may at once. */
const REFILL_MS = 60_000;

export class NewClients {
  private readonly made: LeakyCounts;

  constructor(clock: Clock, atOnce: number) {
    this.made = new LeakyCounts(clock, { burst: atOnce, refillMs: REFILL_MS });
  }

  /** Counts a client before it is created. Throws TOO_MANY_ATTEMPTS if the address must wait. */
  take(address: string): void {
    const waitMs = this.made.waitMs(address);
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1000);
      const text = `too many new clients from this address: wait ${seconds} s, or make them by \`sonic create\` on the server's machine`;
      throw new TardisError('TOO_MANY_ATTEMPTS', text, { seconds });
    }
    this.made.add(address, 1);
  }

  /** Removes a client that was not created from the count. */
  giveBack(address: string): void {
    this.made.add(address, -1);
  }
}
