/**
 * Checks that the store of this server can be used at present, since a bucket may be unreachable. Callers within
 * FRESH_MS share one check.
 */
import type { Logger } from 'pino';
import { asTardisError, type ErrorCode, TardisError } from '../../errors/index.js';
import { type Clock, within } from '../../system/index.js';

/** Time for which the result of a check is used. */
const FRESH_MS = 5000;
/** Maximum time to wait for the answer of a bucket. Without an answer, the bucket counts as unreachable. */
const PATIENCE_MS = 4000;

export class StoreHealth {
  private lookedMs = -Infinity;
  private looking: Promise<ErrorCode | undefined> | undefined;
  private failure: ErrorCode | undefined;

  /** `probe` rejects if the store does not answer; undefined for a store that always does. */
  constructor(
    private readonly probe: (() => Promise<void>) | undefined,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** True if the store answered at the last check; undefined if no check is needed. */
  get answers(): boolean | undefined {
    return this.probe === undefined ? undefined : this.failure === undefined;
  }

  /** Returns the code of the error that prevents the use of the store; undefined if it can be used. Never rejects. */
  async look(): Promise<ErrorCode | undefined> {
    if (this.probe === undefined) return undefined;
    if (this.clock.monotonicMs() - this.lookedMs < FRESH_MS) return this.failure;
    this.looking ??= this.lookNow(this.probe).finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async lookNow(probe: () => Promise<void>): Promise<ErrorCode | undefined> {
    const before = this.failure;
    try {
      await inTime(probe());
      this.failure = undefined;
      if (before !== undefined) this.log.warn('the bucket answers again');
    } catch (error) {
      const { code, message } = asTardisError(error);
      this.failure = code;
      if (before !== code) this.log.error({ code, reason: message }, 'the bucket is away');
    }
    this.lookedMs = this.clock.monotonicMs();
    return this.failure;
  }
}

/** Waits for an answer. Rejects with BUCKET_SLOW if there is none in time. */
function inTime(answer: Promise<void>): Promise<void> {
  return within(answer, PATIENCE_MS, () => {
    const why = `the bucket has not answered for ${PATIENCE_MS / 1000} s`;
    throw new TardisError('BUCKET_SLOW', why);
  });
}
