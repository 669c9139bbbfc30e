/**
 * Remembers for a while which servers did not answer, so that a client that knows several tries the others first. A server
 * over a bucket refers clients to the one with their session, also if that has just been lost.
 */
import { type Address, type Clock, describeAddress } from '../system/index.js';

/** Time for which a server is passed over: that of a lease, after which another server takes the client over. */
const PASSED_OVER_MS = 15_000;

export class SilentServers {
  /** The moment at which each server did not answer. */
  private readonly since = new Map<string, number>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  note(address: Address): void {
    const name = describeAddress(address);
    // A server that stays silent is tried again after a while.
    if (!this.has(address)) this.since.set(name, this.clock.monotonicMs());
  }

  has(address: Address): boolean {
    const sinceMs = this.since.get(describeAddress(address));
    return sinceMs !== undefined && this.clock.monotonicMs() - sinceMs < PASSED_OVER_MS;
  }

  /** Forgets all of them. */
  clear(): void {
    this.since.clear();
  }

  /** Returns the addresses without repetitions, in their order, but silent servers last. */
  inOrder(addresses: readonly Address[]): Address[] {
    const all = [...new Map(addresses.map((one) => [describeAddress(one), one])).values()];
    return [...all.filter((one) => !this.has(one)), ...all.filter((one) => this.has(one))];
  }
}
