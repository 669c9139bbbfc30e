/** Delays between attempts of one request, in a bounded time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { System } from '../../../system/index.js';

/** Maximum time for which a request is retried. */
export const DEFAULT_PATIENCE_MS = 60_000;
/** Time for which a request has failed before that is reported. */
const REPORTED_AFTER_MS = 2000;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;
/** Maximum number of attempts of a request that fails at once each time. */
const MAX_TRIES = 20;

export class Tries {
  private count = 0;
  private readonly startMs: number;
  private readonly patienceMs: number;
  private readonly system: Pick<System, 'clock' | 'random'>;
  private readonly onLong: (reason: Error, leftMs: number) => void;

  /** `onLong` is called before each wait of a request that has failed for some time, with the time that is left. */
  constructor(
    system: Pick<System, 'clock' | 'random'>,
    patienceMs: number,
    onLong: (reason: Error, leftMs: number) => void,
  ) {
    this.system = system;
    this.patienceMs = patienceMs;
    this.onLong = onLong;
    this.startMs = system.clock.monotonicMs();
  }

  /** Waits before the next attempt. Throws `reason` if no further attempt is allowed. */
  async pause(reason: Error): Promise<void> {
    this.count += 1;
    const spentMs = this.system.clock.monotonicMs() - this.startMs;
    if (spentMs >= this.patienceMs || this.count >= MAX_TRIES) throw reason;
    if (spentMs >= REPORTED_AFTER_MS) this.onLong(reason, this.patienceMs - spentMs);
    const longest = Math.min(FIRST_WAIT_MS * 2 ** (this.count - 1), LONGEST_WAIT_MS);
    // The delay is random, so that machines that a store refused do not all return at once.
    const share = this.system.random.bytes(2).readUInt16LE() / 0xffff;
    await sleep(Math.min(longest * (0.5 + share / 2), this.patienceMs - spentMs));
  }
}
