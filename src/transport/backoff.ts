/**
 * How long to wait before a connection that was lost is made again: longer each time, so that a server that
 * comes back is not met by all its clients at once, and no longer than the user wants.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, TardisError } from '../errors/index.js';
import type { System } from '../system/index.js';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const GROWTH = 2;

export interface Patience {
  /** How long to try, from the moment a connection is lost; 0: not at all. */
  readonly forMs: number;
  /** For tests, which have no time. */
  readonly firstWaitMs?: number;
}

export const NO_PATIENCE: Patience = Object.freeze({ forMs: 0 });

/** What a user is told before each attempt. */
export interface Retry {
  readonly reason: TardisError;
  readonly waitMs: number;
}

/** What may be otherwise the next time. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CONNECTION_LOST',
  'TIMED_OUT',
  'SERVER_UNREACHABLE',
  'SERVER_STOPPING',
  'CLIENT_BUSY',
  'TOO_MANY_ATTEMPTS',
]);

const ON_PURPOSE = 'onPurpose';

/** A server that closes a connection in order, and says nothing of a reason, would do it again. */
export function hungUp(): TardisError {
  return new TardisError('CONNECTION_LOST', 'the server hung up', { [ON_PURPOSE]: true });
}

export class Backoff {
  private attempts = 0;
  private readonly startMs: number;
  private readonly system: Pick<System, 'clock' | 'random'>;
  private readonly patience: Patience;
  private readonly signal: AbortSignal | undefined;

  /** Begins now. `signal` ends a wait at once. */
  constructor(
    system: Pick<System, 'clock' | 'random'>,
    patience: Patience,
    signal: AbortSignal | undefined,
  ) {
    this.system = system;
    this.patience = patience;
    this.signal = signal;
    this.startMs = system.clock.monotonicMs();
  }

  /** Whether a failure may pass. */
  static mayPass(error: unknown): error is TardisError {
    return (
      error instanceof TardisError && PASSING.has(error.code) && error.context[ON_PURPOSE] !== true
    );
  }

  /** Waits before the next attempt. Throws `reason` when it cannot pass or the time is over, INTERRUPTED. */
  async wait(reason: unknown, tell: (retry: Retry) => void): Promise<void> {
    const { firstWaitMs = FIRST_WAIT_MS, forMs } = this.patience;
    const spentMs = this.system.clock.monotonicMs() - this.startMs;
    if (!Backoff.mayPass(reason) || spentMs >= forMs) throw reason;
    const grown = firstWaitMs * GROWTH ** this.attempts;
    const longest = Math.min(grown, LONGEST_WAIT_MS, forMs - spentMs);
    // Clients that lost the same server shall not come back in the same moment.
    const share = this.system.random.bytes(2).readUInt16LE() / 0xffff;
    const waitMs = Math.round(longest * (0.5 + share / 2));
    this.attempts += 1;
    tell({ reason, waitMs });
    try {
      await sleep(waitMs, undefined, this.signal === undefined ? {} : { signal: this.signal });
    } catch {
      throw new TardisError('INTERRUPTED', 'interrupted');
    }
  }
}
