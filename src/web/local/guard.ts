/**
 * Decides which requests the server on loopback answers. It refuses requests from pages of other sites, requests to
 * other host names that resolve to this machine (DNS rebinding), and requests of other users of the machine.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { BoundedCache, requireHost } from '../../system/index.js';
import { hostOf, type IncomingRequest, requireOwnPage, tokenIn } from '../api/index.js';

const SECRET_BYTES = 32;
function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

function hashOf(session: string): string {
  return createHash('sha256').update(session).digest('base64url');
}

/** True if two texts are equal. It takes equally long for all texts, so that the time reveals nothing. */
function isEqual(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(a!, b!);
}

/** Maximum number of sessions. One more ends the oldest. */
const MAX_SESSIONS = 64;

/**
 * The secrets of the server: a token that the user is shown once, the sessions of browsers that have signed in, and a
 * key for programs.
 */
export class Entrance {
  /** Token that is shown to the user, and accepted once. */
  readonly token: string = newSecret();
  /** Key for programs of the same user; valid as long as the server runs. */
  readonly programKey: string = newSecret();
  /** Hashes of the sessions, oldest first. */
  private readonly sessions = new BoundedCache<string, true>(MAX_SESSIONS);
  private isUsed = false;

  /** Returns a session for a token; undefined if the token is wrong or was used. */
  enter(token: string): string | undefined {
    if (this.isUsed || !isEqual(token, this.token)) return undefined;
    this.isUsed = true;
    return this.begin();
  }

  /** Begins a session, for a browser whose user has given a right secret. */
  begin(): string {
    const session = newSecret();
    this.sessions.set(hashOf(session), true);
    return session;
  }

  isSession(session: string | undefined): boolean {
    return session !== undefined && this.sessions.has(hashOf(session));
  }

  end(session: string): void {
    this.sessions.delete(hashOf(session));
  }

  /** True if `Authorization` contains the key for programs. */
  isProgram(authorization: string | undefined): boolean {
    const given = tokenIn(authorization);
    return given !== undefined && isEqual(given, this.programKey);
  }
}

/** The names under which the server is reached. */
export interface OwnHosts {
  readonly scheme: 'http' | 'https';
  /** All names of this server, as `name:port`. */
  readonly hosts: ReadonlySet<string>;
}

/**
 * Throws NOT_PERMITTED for a request that is addressed to another host or comes from a page of another site. Programs
 * other than browsers send neither Origin nor Sec-Fetch-Site.
 */
export function requireOwn(request: IncomingRequest, { scheme, hosts }: OwnHosts): void {
  const host = hostOf(request.headers);
  requireHost(host, hosts);
  requireOwnPage(request, (origin) => origin === `${scheme}://${host ?? ''}`);
}
