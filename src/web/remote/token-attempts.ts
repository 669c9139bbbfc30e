/**
 * Limits on wrong tokens. Failures are counted for each address and minute. A token that was accepted before is always
 * checked, so that failures of others do not block it.
 */
import type { FastifyRequest } from 'fastify';
import { TardisError } from '../../errors/index.js';
import { tokenHash } from '../../store/index.js';
import { BoundedCache, type Clock, CountsByKey, notBefore } from '../../system/index.js';
import { MINUTE_MS } from '../../model/index.js';
import { tokenIn } from '../api/index.js';

/** Maximum number of wrong tokens of one address in a minute. */
const MAX_FAILED_TOKENS = 60;
/** Maximum number of requests that wait for the check of one token. One login may have as many requests at once. */
const MAX_RUNNING = 192;
/** Maximum number of tokens that are remembered as right. */
const MAX_REMEMBERED = 1024;
/** Minimum time of the first check of a token. It hides which files were read. */
const TOKEN_AFTER_MS = 10;

type Look<T> = () => T | undefined | Promise<T | undefined>;

export class TokenAttempts {
  /**
   * Number of failures by address in the current minute, which begins with the first of them. A check in progress counts as a
   * failure until it succeeds.
   */
  private failed = new CountsByKey();
  private failedSinceMs = 0;
  /** Hashes of tokens that were right, least recently used first. */
  private readonly proven = new BoundedCache<string, true>(MAX_REMEMBERED);
  /** Number of requests that wait for the check of a token, by its hash. It is limited, as a check may take long. */
  private readonly running = new CountsByKey();
  /** Checks in progress of tokens that were not accepted before, by the tokens' hashes. */
  private readonly underWay = new Map<string, Promise<void>>();

  constructor(private readonly clock: Clock) {}

  /**
   * Runs `look`, which checks a token and returns undefined for a wrong one. An error of `look` does not count as a
   * failure. Throws TOO_MANY_ATTEMPTS and TOO_MANY_REQUESTS before `look` is called.
   */
  async check<T>(token: string, address: string, look: Look<T>): Promise<T | undefined> {
    const key = tokenHash(token).toString('hex');
    if (this.running.of(key) >= MAX_RUNNING) {
      throw new TardisError('TOO_MANY_REQUESTS', 'too many requests wait for this token', {
        seconds: 1,
      });
    }
    this.running.add(key, 1);
    try {
      return await this.checkOnce(key, address, look);
    } finally {
      this.running.add(key, -1);
    }
  }

  private async checkOnce<T>(key: string, address: string, look: Look<T>): Promise<T | undefined> {
    // Concurrent requests with one new token are one attempt.
    for (let other = this.underWay.get(key); other !== undefined; other = this.underWay.get(key)) {
      await other;
    }
    if (this.proven.get(key) === undefined) return this.checkNew(key, address, look);
    const found = await look();
    if (found !== undefined) return found;
    this.proven.delete(key);
    this.count(address);
    return undefined;
  }

  private async checkNew<T>(key: string, address: string, look: Look<T>): Promise<T | undefined> {
    const sinceMs = this.count(address); // counted before any file is read
    const ended = Promise.withResolvers<void>();
    this.underWay.set(key, ended.promise);
    const startMs = this.clock.monotonicMs();
    try {
      const found = await look();
      if (found !== undefined) {
        this.proven.set(key, true);
        this.giveBack(address, sinceMs);
      }
      return found;
    } catch (error) {
      this.giveBack(address, sinceMs);
      throw error;
    } finally {
      await notBefore(this.clock, startMs + TOKEN_AFTER_MS);
      this.underWay.delete(key);
      ended.resolve();
    }
  }

  /**
   * Counts a failure in the current minute, and returns the start of that minute. Throws TOO_MANY_ATTEMPTS if there
   * are too many.
   */
  private count(address: string): number {
    const nowMs = this.clock.monotonicMs();
    if (this.failed.all === 0 || nowMs - this.failedSinceMs > MINUTE_MS) {
      this.failed = new CountsByKey();
      this.failedSinceMs = nowMs;
    }
    if (this.failed.of(address) >= MAX_FAILED_TOKENS) {
      throw new TardisError('TOO_MANY_ATTEMPTS', 'too many wrong tokens', { seconds: 60 });
    }
    this.failed.add(address, 1);
    return this.failedSinceMs;
  }

  private giveBack(address: string, sinceMs: number): void {
    if (sinceMs === this.failedSinceMs) this.failed.add(address, -1);
  }
}

/** Returns the token of a request. Throws NOT_LOGGED_IN if there is none. */
export function tokenOf({ headers }: FastifyRequest): string {
  const token = tokenIn(headers.authorization);
  if (token === undefined) throw notLoggedIn('the request has no token');
  return token;
}

export function notLoggedIn(why: string): TardisError {
  return new TardisError('NOT_LOGGED_IN', why);
}
