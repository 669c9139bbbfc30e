/**
 * Connects to a `tardisd`. Logins in progress are limited, in total and for each address. After a failure to connect,
 * further requests fail at once for a short time; then one of them tries again.
 */
import type { Logger } from 'pino';
import { asTardisError, type ErrorCode, TardisError } from '../../errors/index.js';
import { openHistoryByToken, type TokenHistory, type TokenPlace } from '../../remote/index.js';
import { CountsByKey, type System } from '../../system/index.js';

/** Maximum number of logins in progress. */
const MAX_OPENING = 8;
const MAX_OPENING_OF_ONE = 4;
/** Time after a failure to connect in which no request tries again. */
const AGAIN_MS = 2000;
/** Seconds after which requesters may repeat their request. */
const RETRY_SECONDS = 5;

/** Errors that show that the server cannot be reached. */
const AWAY: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SERVER_UNREACHABLE',
  'SERVER_STOPPING',
  'CONNECTION_LOST',
  'TIMED_OUT',
  'CERTIFICATE_REFUSED',
]);
/** Errors that show that the server is another program, or of another release. */
const ODD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PROTOCOL_VIOLATION',
  'PROTOCOL_VERSION',
  'MESSAGE_TOO_LARGE',
]);

export type ReachedPlace = Omit<TokenPlace, 'onEnd' | 'judge'>;

export class Reach {
  private readonly opening = new CountsByKey();
  private failedAtMs: number | undefined;

  constructor(
    private readonly system: System,
    private readonly place: ReachedPlace,
    private readonly log: Logger,
  ) {}

  /**
   * Logs in for a requester at `address`. Throws SERVER_UNREACHABLE with the seconds to wait, SERVER_ANSWER_INVALID,
   * TOO_MANY_REQUESTS, NOT_LOGGED_IN and other errors of the login.
   */
  async open(
    { client, token, address }: { client: string; token: string; address: string },
    onEnd: () => void,
  ): Promise<TokenHistory> {
    this.waitForReturn();
    if (this.opening.of(address) >= MAX_OPENING_OF_ONE || this.opening.all >= MAX_OPENING) {
      throw new TardisError('TOO_MANY_REQUESTS', 'too many logins are under way', { seconds: 1 });
    }
    this.opening.add(address, 1);
    try {
      const place = { ...this.place, onEnd, judge: judged };
      const opened = await openHistoryByToken(this.system, place, client, token);
      this.isBack();
      return opened;
    } catch (error) {
      throw this.failed(error);
    } finally {
      this.opening.add(address, -1);
    }
  }

  /**
   * Throws SERVER_UNREACHABLE shortly after a failure. After that time, the first caller tries again, and later
   * callers fail for the same time.
   */
  private waitForReturn(): void {
    const nowMs = this.system.clock.monotonicMs();
    if (this.failedAtMs === undefined) return;
    if (nowMs - this.failedAtMs < AGAIN_MS) throw away();
    this.failedAtMs = nowMs;
  }

  private failed(error: unknown): unknown {
    const { code, message } = asTardisError(error);
    if (!AWAY.has(code) && !ODD.has(code)) {
      this.isBack(); // the server has answered
      return error;
    }
    if (this.failedAtMs === undefined) {
      this.log.error({ code, reason: message }, 'the server cannot be read');
    }
    this.failedAtMs = this.system.clock.monotonicMs();
    return judged(error);
  }

  private isBack(): void {
    if (this.failedAtMs !== undefined) this.log.error('the server can be read again');
    this.failedAtMs = undefined;
  }
}

/** Returns the error that the requester gets. It does not contain the address or the port of the server. */
function judged(error: unknown): unknown {
  const { code } = asTardisError(error);
  if (AWAY.has(code)) return away();
  if (!ODD.has(code)) return error;
  const what = 'the server behind this one gave an answer that does not follow the protocol';
  return new TardisError('SERVER_ANSWER_INVALID', what, {}, error);
}

/** Returns the error for a server that cannot be reached now. */
export function away(): TardisError {
  const what = 'the server behind this one cannot be reached now';
  return new TardisError('SERVER_UNREACHABLE', what, { seconds: RETRY_SECONDS });
}
