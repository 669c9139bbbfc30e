/**
 * How often a password may be guessed. Failures count for the pair of client and address, and for the
 * address; so nobody elsewhere is held up by them, and who has logged in from an address before is not
 * held up by what others there do to other clients. What is not known is counted like what is.
 */
import { TardisError } from '../errors/index.js';
import type { Clock } from '../system/index.js';

/** So many failures at once, then one in so long. */
export interface Allowance {
  readonly burst: number;
  readonly refillMs: number;
}

export interface AttemptLimits {
  readonly pair: Allowance;
  readonly address: Allowance;
}

export const DEFAULT_ATTEMPTS: AttemptLimits = Object.freeze({
  pair: { burst: 5, refillMs: 15_000 },
  address: { burst: 30, refillMs: 5000 },
});

/** Remembered of each kind; beyond, the one that has been quiet for longest is forgotten. */
const MAX_REMEMBERED = 4096;

interface Failures {
  count: number;
  asOfMs: number;
}

export class Attempts {
  private readonly ofPair = new Map<string, Failures>();
  private readonly ofAddress = new Map<string, Failures>();
  private readonly proven = new Map<string, true>();
  private readonly clock: Clock;
  private readonly limits: AttemptLimits;

  constructor(clock: Clock, limits: AttemptLimits) {
    this.clock = clock;
    this.limits = limits;
  }

  /** Throws TOO_MANY_ATTEMPTS while there were too many failures. */
  check(client: string, address: string): void {
    const pair = pairOf(client, address);
    const { limits } = this;
    let waitMs = this.waitMs(this.ofPair.get(pair), limits.pair);
    if (!this.proven.has(pair)) {
      waitMs = Math.max(waitMs, this.waitMs(this.ofAddress.get(address), limits.address));
    }
    if (waitMs === 0) return;
    const seconds = Math.ceil(waitMs / 1000);
    throw new TardisError('TOO_MANY_ATTEMPTS', `too many failed logins: wait ${seconds} s`, {
      seconds,
    });
  }

  failed(client: string, address: string): void {
    this.count(this.ofPair, pairOf(client, address), this.limits.pair);
    this.count(this.ofAddress, address, this.limits.address);
  }

  succeeded(client: string, address: string): void {
    const pair = pairOf(client, address);
    this.ofPair.delete(pair);
    remember(this.proven, pair, true);
  }

  private count(of: Map<string, Failures>, key: string, allowance: Allowance): void {
    const count = this.left(of.get(key), allowance) + 1;
    remember(of, key, { count, asOfMs: this.clock.monotonicMs() });
  }

  /** Failures that time has not taken back yet. */
  private left(failures: Failures | undefined, { refillMs }: Allowance): number {
    if (failures === undefined) return 0;
    const elapsedMs = this.clock.monotonicMs() - failures.asOfMs;
    return Math.max(0, failures.count - elapsedMs / refillMs);
  }

  private waitMs(failures: Failures | undefined, allowance: Allowance): number {
    const tooMany = this.left(failures, allowance) - allowance.burst + 1;
    return tooMany <= 0 ? 0 : tooMany * allowance.refillMs;
  }
}

function pairOf(client: string, address: string): string {
  return `${client}\n${address}`;
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key); // to the end: what is first has been quiet for longest
  map.set(key, value);
  if (map.size <= MAX_REMEMBERED) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
