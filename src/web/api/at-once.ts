/** Limits of the number of requests that are answered at once: for each login, and for all. */
import type { FastifyRequest } from 'fastify';
import { TardisError } from '../../errors/index.js';
import { CountsByKey } from '../../system/index.js';
import { addressOf, type Requester } from './address-of.js';

export interface AtOnceLimits {
  /** Limit for each login, and for each address (or block of addresses) without one. */
  readonly ofOne: number;
  readonly ofAll: number;
  /** Limit for all requests without a login. The remaining places are reserved for requests with one. */
  readonly ofStrangers: number;
  readonly retrySeconds: number;
  readonly why: string;
}

const REQUESTS_AT_ONCE: AtOnceLimits = Object.freeze({
  // More than the streams of one connection, so a tool with one connection never reaches the limit.
  ofOne: 192,
  ofAll: 1024,
  ofStrangers: 512,
  retrySeconds: 1,
  why: 'too many requests are being answered',
});

/** A request that can be ended so that another request gets its place. */
interface GivesWay {
  /** Returns the time since the reader last took bytes. */
  waitedMs(): number;
  end(): void;
}

/** Time without progress after which a request can be ended for another one. */
const GIVES_WAY_MS = 10_000;

interface Place extends GivesWay {
  readonly key: string;
  readonly leave: () => void;
}

export class AtOnce {
  private strangers = 0;
  private readonly counts = new CountsByKey();
  private readonly held = new Set<Place>();

  constructor(private readonly limits: AtOnceLimits = REQUESTS_AT_ONCE) {}

  /**
   * Counts a request, whose visitor must be known, until the returned function is called. `holder` lets a later request
   * end this one. If no place is free, a request with a login ends the counted request that has waited longest for its
   * reader, for at least GIVES_WAY_MS. If its own login has too many requests, it ends one of these. Throws
   * TOO_MANY_REQUESTS if no request can be ended.
   */
  enter(request: Requester & Pick<FastifyRequest, 'visitor'>, holder?: GivesWay): () => void {
    const { visitor } = request;
    const { ofOne, ofAll, ofStrangers, retrySeconds: seconds, why } = this.limits;
    const isStranger = visitor === undefined;
    const key = isStranger
      ? `address ${addressOf(request)}`
      : `login ${visitor.client ?? ''}/${visitor.account}`;
    const isOwnFull = this.counts.of(key) >= ofOne;
    const isFull = this.counts.all >= ofAll || (isStranger && this.strangers >= ofStrangers);
    if (isFull || isOwnFull) {
      const stalled = isStranger ? undefined : this.longestStalled(isOwnFull ? key : undefined);
      if (stalled === undefined) throw new TardisError('TOO_MANY_REQUESTS', why, { seconds });
      stalled.leave();
      stalled.end();
    }
    return this.take(key, isStranger, holder);
  }

  private take(key: string, isStranger: boolean, holder: GivesWay | undefined): () => void {
    let place: Place | undefined;
    let isLeft = false;
    const leave = (): void => {
      if (isLeft) return;
      isLeft = true;
      this.count(key, isStranger, -1);
      if (place !== undefined) this.held.delete(place);
    };
    this.count(key, isStranger, 1);
    if (holder !== undefined) {
      place = { key, leave, waitedMs: () => holder.waitedMs(), end: () => holder.end() };
      this.held.add(place);
    }
    return leave;
  }

  private longestStalled(key: string | undefined): Place | undefined {
    const [first] = [...this.held]
      .filter((place) => key === undefined || place.key === key)
      .map((place) => ({ place, waitedMs: place.waitedMs() }))
      .filter(({ waitedMs }) => waitedMs >= GIVES_WAY_MS)
      .toSorted((one, other) => other.waitedMs - one.waitedMs);
    return first?.place;
  }

  private count(key: string, isStranger: boolean, more: 1 | -1): void {
    this.counts.add(key, more);
    if (isStranger) this.strangers += more;
  }
}
