/** Limits of the requests that are answered at once, in all and for each login. */
import type { FastifyRequest } from 'fastify';
import { TardisError } from '../../errors/index.js';
import { addressOf, type Requester } from './address-of.js';

export interface AtOnceLimits {
  /** For each login, and for each address (or block of addresses) without one. */
  readonly ofOne: number;
  readonly ofAll: number;
  /** For all requests without a login, so that logins have the rest. */
  readonly ofStrangers: number;
  readonly retrySeconds: number;
  readonly why: string;
}

const REQUESTS_AT_ONCE: AtOnceLimits = Object.freeze({
  // More than the streams of one connection, so that a tool with one never meets the limit.
  ofOne: 192,
  ofAll: 1024,
  ofStrangers: 512,
  retrySeconds: 1,
  why: 'too many requests are being answered',
});

export class AtOnce {
  private all = 0;
  private strangers = 0;
  private readonly byKey = new Map<string, number>();
  private readonly limits: AtOnceLimits;

  constructor(limits: AtOnceLimits = REQUESTS_AT_ONCE) {
    this.limits = limits;
  }

  /** Counts a request, whose visitor is known, until the returned function is called. Throws TOO_MANY_REQUESTS. */
  enter(request: Requester & Pick<FastifyRequest, 'visitor'>): () => void {
    const { visitor } = request;
    const { ofOne, ofAll, ofStrangers, retrySeconds: seconds, why } = this.limits;
    const isStranger = visitor === undefined;
    const key = isStranger
      ? `address ${addressOf(request)}`
      : `login ${visitor.client ?? ''}/${visitor.account}`;
    const own = this.byKey.get(key) ?? 0;
    const isFull = this.all >= ofAll || (isStranger && this.strangers >= ofStrangers);
    if (isFull || own >= ofOne) throw new TardisError('TOO_MANY_REQUESTS', why, { seconds });
    this.count(key, isStranger, 1);
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      this.count(key, isStranger, -1);
    };
  }

  private count(key: string, isStranger: boolean, more: 1 | -1): void {
    this.all += more;
    if (isStranger) this.strangers += more;
    const own = (this.byKey.get(key) ?? 0) + more;
    if (own > 0) this.byKey.set(key, own);
    else this.byKey.delete(key);
  }
}
