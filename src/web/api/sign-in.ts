/** The routes by which a browser signs in: it gives a secret once, and gets a cookie that scripts cannot read. */
import { Type } from 'typebox';
import type { FastifyRequest } from 'fastify';
import { type AddedRoute, addedRoute } from './register.js';

/** Maximum number of characters of a password, a code or a token. */
const MAX_SECRET_CHARS = 1024;

/** Where the sessions of browsers are, and the cookie that names one. */
export interface BrowserSessions {
  readonly cookie: string;
  /** True if the browser may send the cookie only over TLS, or to loopback. */
  readonly isSecure: boolean;
  /** Begins a session for a secret, and returns its name. Throws NOT_LOGGED_IN, TOO_MANY_ATTEMPTS. */
  begin(secret: string, request: FastifyRequest): Promise<string>;
  end(session: string): void;
}

/** Returns the routes. The app must read cookies. */
export function signInRoutes(sessions: BrowserSessions): AddedRoute[] {
  const { cookie, isSecure } = sessions;
  const attributes = { path: '/', httpOnly: true, sameSite: 'strict', secure: isSecure } as const;
  return [
    addedRoute(
      {
        method: 'GET',
        path: '/sign-in',
        right: 'none',
        isUncounted: true,
        summary: 'Returns which program a browser would sign in to.',
        reply: Type.Object({ program: Type.String() }),
      },
      async ({ door }) => ({ program: door.program }),
    ),
    addedRoute(
      {
        method: 'POST',
        path: '/sign-in',
        right: 'none',
        summary: 'Begins the session of a browser, which gets a cookie.',
        body: Type.Object({ secret: Type.String({ minLength: 1, maxLength: MAX_SECRET_CHARS }) }),
        reply: Type.Object({}),
      },
      async ({ body, request, reply }) => {
        void reply.setCookie(cookie, await sessions.begin(body.secret, request), attributes);
        return {};
      },
    ),
    addedRoute(
      {
        method: 'DELETE',
        path: '/sign-in',
        right: 'login',
        summary: 'Ends the session of the browser that sends this.',
        reply: Type.Object({}),
      },
      async ({ request, reply }) => {
        const session = request.cookies[cookie];
        if (session !== undefined) sessions.end(session);
        void reply.clearCookie(cookie, attributes);
        return {};
      },
    ),
  ];
}
