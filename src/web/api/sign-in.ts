/**
 * Lets a browser sign in: it gives a secret once, and gets a cookie that scripts cannot read. Requests that a browser
 * would send for the page of another site are refused.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Type } from 'typebox';
import type { FastifyRequest } from 'fastify';
import { TardisError } from '../../errors/index.js';
import { type AddedRoute, addedRoute } from './register.js';
import { get, post, remove, type RouteRow } from './route-row.js';

/**
 * Name of the header that a request must have if it changes something. A form or a link of another site cannot send it.
 */
export const PAGE_HEADER = 'x-tardis-page';

/** Methods that change nothing. WebDAV needs the last two. */
const READING = new Set(['GET', 'HEAD', 'OPTIONS', 'PROPFIND']);
/** Values of Sec-Fetch-Site for requests of the page itself, and for addresses that the user types. */
const OWN_FETCHES = new Set(['same-origin', 'none']);
/** Maximum number of characters of a password, a code or a token. */
const MAX_SECRET_CHARS = 1024;

/** The routes by which a browser signs in. */
export const SIGN_IN_ROWS = {
  program: get('/sign-in', 'none', {
    isUncounted: true,
    summary: 'Returns which program a browser would sign in to.',
    reply: Type.Object({ program: Type.String() }),
  }),
  begin: post('/sign-in', 'none', {
    summary: 'Begins the session of a browser, which gets a cookie.',
    body: Type.Object({ secret: Type.String({ minLength: 1, maxLength: MAX_SECRET_CHARS }) }),
    reply: Type.Object({}),
  }),
  end: remove('/sign-in', 'login', {
    summary: 'Ends the session of the browser that sends this.',
    reply: Type.Object({}),
  }),
} as const satisfies Record<string, RouteRow>;

/** Where the sessions of browsers are, and the cookie that names one. */
export interface BrowserSessions {
  readonly cookie: string;
  /** True if the browser may send the cookie only over TLS, or to loopback. */
  readonly isSecure: boolean;
  /** Begins a session for a secret, and returns its name. Throws NOT_LOGGED_IN, TOO_MANY_ATTEMPTS. */
  begin(secret: string, request: FastifyRequest): Promise<string>;
  end(session: string): void;
}

/** Returns the attributes of a cookie that scripts cannot read, and other sites' pages do not send. */
export function cookieAttributes({ isSecure }: Pick<BrowserSessions, 'isSecure'>) {
  return { path: '/', httpOnly: true, sameSite: 'strict', secure: isSecure } as const;
}

/** Returns the routes. The app must read cookies. */
export function signInRoutes(sessions: BrowserSessions): AddedRoute[] {
  const { cookie } = sessions;
  const attributes = cookieAttributes(sessions);
  return [
    addedRoute(SIGN_IN_ROWS.program, async ({ door }) => ({ program: door.program })),
    addedRoute(SIGN_IN_ROWS.begin, async ({ body, request, reply }) => {
      void reply.setCookie(cookie, await sessions.begin(body.secret, request), attributes);
      return {};
    }),
    addedRoute(SIGN_IN_ROWS.end, async ({ request, reply }) => {
      const session = request.cookies[cookie];
      if (session !== undefined) sessions.end(session);
      void reply.clearCookie(cookie, attributes);
      return {};
    }),
  ];
}

export interface IncomingRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Throws NOT_PERMITTED for a request from a page of another site, and for one that changes something without PAGE_HEADER.
 * Programs other than browsers send neither Origin nor Sec-Fetch-Site. `isOwn` is true for the origin of the page.
 */
export function requireOwnPage(
  { method, headers }: IncomingRequest,
  isOwn: (origin: string) => boolean,
): void {
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  const isForeign = origin !== undefined && !isOwn(origin);
  if (isForeign || (typeof site === 'string' && !OWN_FETCHES.has(site))) {
    throw new TardisError('NOT_PERMITTED', 'the request comes from the page of another site');
  }
  if (READING.has(method) || headers[PAGE_HEADER] !== undefined) return;
  const what = `a request that changes something needs the header ${PAGE_HEADER}`;
  throw new TardisError('NOT_PERMITTED', what);
}

/** Returns the host that a request is addressed to; over HTTP/2, it is in a header of another name. */
export function hostOf(headers: IncomingHttpHeaders): string | undefined {
  const authority = headers[':authority'];
  return typeof authority === 'string' ? authority : headers.host;
}
