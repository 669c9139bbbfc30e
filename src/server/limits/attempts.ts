/**
 * Limits on guessing passwords. Failures count for the pair of client and address, and for the address. So a client
 * is not blocked by failures from elsewhere. A client that has logged in from an address before is not blocked by
 * failures for other clients there. Unknown clients count like known ones.
 */
import { TardisError } from '../../errors/index.js';
import { BoundedCache, type Clock, CountsByKey } from '../../system/index.js';
import { type Allowance, LeakyCounts } from './leaky-counts.js';

export interface AttemptLimits {
  readonly pair: Allowance;
  readonly address: Allowance;
}

export const DEFAULT_ATTEMPTS: AttemptLimits = Object.freeze({
  pair: { burst: 5, refillMs: 15_000 },
  address: { burst: 30, refillMs: 5000 },
});

/** Maximum number of pairs that are remembered after a login; beyond that, the least recently used one is forgotten. */
const MAX_PROVEN = 4096;

/** A login attempt in progress. It counts like a failure until it is settled; settling it twice does nothing. */
export interface Attempt {
  succeeded(): void;
  failed(): void;
  /** Ends the attempt without a result, for a reason that lies with the server. */
  dropped(): void;
}

export class Attempts {
  private readonly ofPair: LeakyCounts;
  private readonly ofAddress: LeakyCounts;
  private readonly proven = new BoundedCache<string, true>(MAX_PROVEN);
  /** Number of attempts in progress, by pair and by address. It is bounded by the number of connections. */
  private readonly underWay = new CountsByKey();
  private readonly waiting = new Set<() => void>();

  constructor(clock: Clock, limits: AttemptLimits) {
    this.ofPair = new LeakyCounts(clock, limits.pair);
    this.ofAddress = new LeakyCounts(clock, limits.address);
  }

  /**
   * Begins an attempt. It waits while the attempts in progress could be the last ones that are allowed, so that
   * parallel attempts gain nothing over sequential ones. Throws TOO_MANY_ATTEMPTS after too many failures.
   */
  async begin(client: string, address: string): Promise<Attempt> {
    for (;;) {
      this.check(client, address);
      if (this.hasRoom(client, address)) break;
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
    const keys = [pairOf(client, address), address];
    for (const key of keys) this.underWay.add(key, 1);
    let isSettled = false;
    const settle = (outcome: () => void): void => {
      if (isSettled) return;
      isSettled = true;
      for (const key of keys) this.underWay.add(key, -1);
      outcome();
      const waiting = [...this.waiting];
      this.waiting.clear();
      for (const look of waiting) look();
    };
    return {
      succeeded: () => settle(() => this.succeeded(client, address)),
      failed: () => settle(() => this.failed(client, address)),
      dropped: () => settle(() => undefined),
    };
  }

  private hasRoom(client: string, address: string): boolean {
    const pair = pairOf(client, address);
    const fits = (failures: LeakyCounts, key: string): boolean =>
      failures.left(key) + this.underWay.of(key) <= failures.allowance.burst - 1;
    if (!fits(this.ofPair, pair)) return false;
    return this.proven.has(pair) || fits(this.ofAddress, address);
  }

  /** Throws TOO_MANY_ATTEMPTS while there are too many failures. */
  check(client: string, address: string): void {
    const pair = pairOf(client, address);
    let waitMs = this.ofPair.waitMs(pair);
    if (!this.proven.has(pair)) waitMs = Math.max(waitMs, this.ofAddress.waitMs(address));
    if (waitMs === 0) return;
    const seconds = Math.ceil(waitMs / 1000);
    throw new TardisError('TOO_MANY_ATTEMPTS', `too many failed logins: wait ${seconds} s`, {
      seconds,
    });
  }

  failed(client: string, address: string): void {
    this.ofPair.add(pairOf(client, address), 1);
    this.ofAddress.add(address, 1);
  }

  succeeded(client: string, address: string): void {
    const pair = pairOf(client, address);
    this.ofPair.forget(pair);
    this.proven.set(pair, true);
  }
}

function pairOf(client: string, address: string): string {
  return `${client}\n${address}`;
}
