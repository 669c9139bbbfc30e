/**
 * Restores lost connections: which errors are retried, and after which delays. The delays double up to 30 s, and are
 * partly random, so that the clients of a restarted server do not all return at once. Their total is limited by a
 * setting of the user.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, TardisError } from '../errors/index.js';
import { Retries, type System } from '../system/index.js';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** Longest wait for a server that takes the client over as soon as the lease of another server ends. */
const LONGEST_ELSEWHERE_MS = 1000;

export interface Patience {
  /**
   * Milliseconds for which to retry, from the loss of a connection or from the first failure to connect; 0 disables
   * retries.
   */
  readonly forMs: number;
  /** If false, a failure of the first connection is not retried. */
  readonly triesFirst?: boolean;
  /** True if the user has set the time to wait, so that an unknown host may be one whose network comes up (mDNS, a VPN). */
  readonly waitsForName?: boolean;
  /** Milliseconds of the first delay; tests make it short. */
  readonly firstWaitMs?: number;
}

export const NO_PATIENCE: Patience = Object.freeze({ forMs: 0 });

/** A retry, as reported to the user before its delay. */
export interface Retry {
  readonly reason: TardisError;
  readonly waitMs: number;
  /** Milliseconds for which there will be attempts, if this is the first of them; else undefined. */
  readonly forMs: number | undefined;
}

/** Errors that may be temporary, so that a retry can succeed. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CONNECTION_LOST',
  'TIMED_OUT',
  'SERVER_UNREACHABLE',
  'SERVER_STOPPING',
  'STORE_AWAY',
  'CLIENT_ELSEWHERE',
  'CLIENT_BUSY',
  'TOO_MANY_ATTEMPTS',
]);

/** Temporary errors of a first connection, apart from SERVER_UNREACHABLE. */
const PASSING_AT_FIRST: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CONNECTION_LOST',
  'TIMED_OUT',
  'SERVER_STOPPING',
  'CLIENT_ELSEWHERE',
  'TOO_MANY_ATTEMPTS',
]);
/** Temporary causes of SERVER_UNREACHABLE: a server that is starting, also behind a proxy, or a network that is coming up. */
const PASSING_CAUSES: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'HTTP 429',
  'HTTP 502',
  'HTTP 503',
  'HTTP 504',
]);

const ON_PURPOSE = 'onPurpose';

/**
 * Returns the error for a server that closed the connection in order and gave no reason. It is not retried, because
 * the server would close the connection again.
 */
export function hungUp(): TardisError {
  return new TardisError('CONNECTION_LOST', 'the server hung up', { [ON_PURPOSE]: true });
}

/** Errors whose `seconds` must pass before the next attempt. */
const NAMING_SECONDS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SERVER_UNREACHABLE',
  'TOO_MANY_ATTEMPTS',
]);

/** Returns the seconds that must pass by the word of a server before the next attempt; 0 if it names none. */
function secondsOf({ code, context }: TardisError): number {
  const { seconds } = context;
  return NAMING_SECONDS.has(code) && typeof seconds === 'number' ? seconds : 0;
}

export class Backoff {
  private readonly retries: Retries;
  private wasReported = false;

  /** Starts the time of `patience`. Aborting `signal` ends a delay at once. */
  constructor(
    system: Pick<System, 'clock' | 'random'>,
    private readonly patience: Patience,
    private readonly signal: AbortSignal | undefined,
  ) {
    const { firstWaitMs: firstMs = FIRST_WAIT_MS, forMs } = patience;
    this.retries = new Retries(system, { firstMs, longestMs: LONGEST_WAIT_MS, forMs });
  }

  /** True if a failure may be temporary. */
  static mayPass(error: unknown): error is TardisError {
    return (
      error instanceof TardisError && PASSING.has(error.code) && error.context[ON_PURPOSE] !== true
    );
  }

  /**
   * True if a failure of a first connection may be temporary. False for an unknown host unless `waitsForName` is true, a
   * refused certificate or password, a port with another protocol, and a client that is busy.
   */
  static mayPassAtFirst(error: unknown, waitsForName = false): error is TardisError {
    if (!Backoff.mayPass(error)) return false;
    if (error.code !== 'SERVER_UNREACHABLE') return PASSING_AT_FIRST.has(error.code);
    const { cause } = error.context;
    return PASSING_CAUSES.has(cause) || (waitsForName && cause === 'ENOTFOUND');
  }

  /**
   * Calls `report`, then waits before the next attempt. Throws `reason` if it is not temporary or the time for
   * retries is over, and INTERRUPTED if the signal is aborted.
   */
  async wait(reason: unknown, report: (retry: Retry) => void): Promise<void> {
    if (!Backoff.mayPass(reason)) throw reason;
    const waitMs = this.retries.next({
      leastMs: secondsOf(reason) * 1000,
      ...(reason.code === 'CLIENT_ELSEWHERE' ? { longestMs: LONGEST_ELSEWHERE_MS } : {}),
    });
    if (waitMs === undefined) throw reason;
    report({ reason, waitMs, forMs: this.wasReported ? undefined : this.patience.forMs });
    this.wasReported = true;
    try {
      await sleep(waitMs, undefined, this.signal === undefined ? {} : { signal: this.signal });
    } catch {
      throw new TardisError('INTERRUPTED', 'interrupted');
    }
  }
}

/** Replaces the connection of a client's session each time it is lost. */
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
