/** Follows a server's referral to another server, which has the session of the client. */
import type { Address } from '../../system/index.js';
import type { LinkOptions } from '../index.js';
import { placeNamedIn } from './greeting.js';

/** Maximum number of referrals that are followed in succession without a pause. */
const MAX_HOPS = 4;
/** Maximum time for connecting to a server that another server named, since it may hang. */
const NAMED_MS = 5000;

/**
 * Returns the address of a server that another server has named. Throws if the connection to it would be less secure.
 */
export type Elsewhere = (host: string, port: number) => Address;

export class SentOn {
  private hops = 0;

  /** Creates a counter of referrals. `elsewhere` is undefined if referrals are not followed. */
  constructor(private readonly elsewhere: Elsewhere | undefined) {}

  /**
   * Returns the address of the server that an error names. Returns undefined for other errors, and after several
   * servers in succession: the next attempt then follows a pause. Throws the errors of `elsewhere`.
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

  /** Records that a server has accepted the login, so that referrals are counted from 0 again. */
  arrived(): void {
    this.hops = 0;
  }
}

/** Returns the options of a connection to a server that another one named. */
export function linkToNamed(link: LinkOptions): LinkOptions {
  return { ...link, connectMs: NAMED_MS };
}
