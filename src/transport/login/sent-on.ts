/** Follows servers that name another one, which has the session of the client. */
import type { Address } from '../../system/index.js';
import type { LinkOptions } from '../index.js';
import { placeNamedIn } from './greeting.js';

/** Most servers one after the other that are followed without a pause. */
const MAX_HOPS = 4;
/** Longest wait for a server that another server named; it may hang. */
const NAMED_MS = 5000;

/** Returns the address of a server that another one has named, or throws if its connection would be less safe. */
export type Elsewhere = (host: string, port: number) => Address;

export class SentOn {
  private hops = 0;
  private readonly elsewhere: Elsewhere | undefined;

  /** `elsewhere` is undefined if no other server is followed. */
  constructor(elsewhere: Elsewhere | undefined) {
    this.elsewhere = elsewhere;
  }

  /**
   * Returns the address of the server that an error names. Returns undefined for other errors, and after several servers
   * in succession: the next attempt then follows a pause. Throws the errors of `elsewhere`.
   */
  next(error: unknown): Address | undefined {
    const place = placeNamedIn(error);
    if (place === undefined || this.elsewhere === undefined || this.hops >= MAX_HOPS) {
      this.hops = 0;
      return undefined;
    }
    const address = this.elsewhere(place.host, place.port);
    this.hops += 1;
    return address;
  }

  /** Notes that a server has let the client in. */
  arrived(): void {
    this.hops = 0;
  }
}

/** Returns the options of a connection to a server that another one named. */
export function linkToNamed(link: LinkOptions): LinkOptions {
  return { ...link, connectMs: NAMED_MS };
}
