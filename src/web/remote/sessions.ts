/**
 * Stores the sessions of logins by their tokens. Sessions are limited in number and expire. Tokens are stored only as
 * hashes.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../system/index.js';

interface SessionLimits {
  /**
   * Maximum number of sessions, in total (`most`) and of one login (`mostOfOne`). Above it, the least recently used
   * session ends.
   */
  readonly most: number;
  readonly mostOfOne: number;
  /** Time after the login at which a session ends. `idleMs` is the time after the last use. */
  readonly lastingMs: number;
  readonly idleMs: number;
}

export const SESSION_LIMITS: SessionLimits = Object.freeze({
  most: 4096,
  mostOfOne: 64,
  lastingMs: 12 * 3_600_000,
  idleMs: 3_600_000,
});

/** A login of an account; '' for the owner of the client. */
interface AccountLogin {
  readonly client: string;
  readonly account: string;
}

/** A login, and the data to check that it is still valid. */
export interface LoginOf extends AccountLogin {
  /**
   * Hash of the key record whose password was used. A record number is not enough, since another account can have the
   * same one.
   */
  readonly keysHash: string;
}

interface Session<L> {
  readonly login: L;
  readonly endsMs: number;
  usedMs: number;
}

const TOKEN_BYTES = 32;

export class Sessions<L extends AccountLogin = LoginOf> {
  /** Sessions by the hash of their token, least recently used first. */
  private readonly sessions = new Map<string, Session<L>>();

  constructor(
    private readonly clock: Clock,
    private readonly limits: SessionLimits = SESSION_LIMITS,
  ) {}

  get count(): number {
    return this.sessions.size;
  }

  /** Begins a session and returns its token. */
  begin(login: L): { token: string; expiresInSeconds: number } {
    const { most, mostOfOne, lastingMs } = this.limits;
    const own = [...this.sessions].filter(([, { login: other }]) => isSameLogin(other, login));
    if (own.length >= mostOfOne) this.sessions.delete(own[0]![0]);
    const [oldest] = this.sessions.keys();
    if (this.sessions.size >= most) this.sessions.delete(oldest!);
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const nowMs = this.clock.monotonicMs();
    this.sessions.set(keyOf(token), { login, endsMs: nowMs + lastingMs, usedMs: nowMs });
    return { token, expiresInSeconds: Math.floor(lastingMs / 1000) };
  }

  /** Returns the login of a token; undefined if no session has this token, or if its session has ended. */
  find(token: string): L | undefined {
    const key = keyOf(token);
    const session = this.sessions.get(key);
    if (session === undefined) return undefined;
    const nowMs = this.clock.monotonicMs();
    this.sessions.delete(key);
    if (nowMs >= session.endsMs || nowMs - session.usedMs >= this.limits.idleMs) return undefined;
    session.usedMs = nowMs;
    this.sessions.set(key, session);
    return session.login;
  }

  /** Ends the session of a token. Returns false if the token has no session, as tokens of accounts have none. */
  end(token: string): boolean {
    return this.sessions.delete(keyOf(token));
  }
}

function isSameLogin(one: AccountLogin, other: AccountLogin): boolean {
  return one.client === other.client && one.account === other.account;
}

function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
