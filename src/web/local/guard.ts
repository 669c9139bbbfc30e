/**
 * Decides which requests the server on loopback answers. It refuses requests from pages of other sites, requests to
 * other host names that resolve to this machine (DNS rebinding), and requests of other users of the machine.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { TardisError } from '../../errors/index.js';
import { requireHost } from '../../system/index.js';

/**
 * Name of the header that a request must have if it changes something. A form or a link of another site cannot send it.
 */
export const PAGE_HEADER = 'x-tardis-page';

const SECRET_BYTES = 32;
/** Methods that change nothing. WebDAV needs the last two. */
const READING = new Set(['GET', 'HEAD', 'OPTIONS', 'PROPFIND']);
const BEARER = /^Bearer ([\w-]{1,128})$/;
/** Values of Sec-Fetch-Site for requests of the page itself, and for addresses that the user types. */
const OWN_FETCHES = new Set(['same-origin', 'none']);

function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

/** True if two texts are equal. It takes equally long for all texts, so that the time reveals nothing. */
function isEqual(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(a!, b!);
}

/**
 * The secrets of the server: a token that the user is shown once, the session that it is exchanged for, and a key for
 * programs.
 */
export class Entrance {
  /** Token that is shown to the user, and accepted once. */
  readonly token: string = newSecret();
  /** Key for programs of the same user; valid as long as the server runs. */
  readonly programKey: string = newSecret();
  private readonly session = newSecret();
  private isUsed = false;

  /** Returns the session for a token; undefined if the token is wrong or was used. */
  enter(token: string): string | undefined {
    if (this.isUsed || !isEqual(token, this.token)) return undefined;
    this.isUsed = true;
    return this.session;
  }

  isSession(session: string | undefined): boolean {
    return session !== undefined && this.isUsed && isEqual(session, this.session);
  }

  /** True if `Authorization` contains the key for programs, as Bearer. */
  isProgram(authorization: string | undefined): boolean {
    const given = BEARER.exec(authorization ?? '')?.[1];
    return given !== undefined && isEqual(given, this.programKey);
  }
}

interface IncomingRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Throws NOT_PERMITTED for a request that is addressed to another host or comes from a page of another site. Programs
 * other than browsers send neither Origin nor Sec-Fetch-Site. `hosts` are all names of this server, as `name:port`.
 */
export function requireOwn({ method, headers }: IncomingRequest, hosts: ReadonlySet<string>): void {
  const { host, origin } = headers;
  requireHost(host, hosts);
  if (origin !== undefined && origin !== `http://${host ?? ''}`) {
    throw refused('the request comes from the page of another site');
  }
  const site = headers['sec-fetch-site'];
  if (typeof site === 'string' && !OWN_FETCHES.has(site)) {
    throw refused('the request comes from the page of another site');
  }
  if (!READING.has(method) && headers[PAGE_HEADER] === undefined) {
    throw refused(`a request that changes something needs the header ${PAGE_HEADER}`);
  }
}

function refused(why: string): TardisError {
  return new TardisError('NOT_PERMITTED', why);
}
