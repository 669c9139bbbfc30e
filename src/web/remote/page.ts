/**
 * The page of a server. A browser signs in by the token of an account, and gets a cookie. Requests with the cookie count
 * as requests with that token, if they come from the page itself. A password is not taken here: it opens the keys of a
 * client that encrypts, and a page that a server sends could keep it.
 */
import cookies from '@fastify/cookie';
import { parseToken } from '../../store/index.js';
import {
  addPageFiles,
  type AddedRoute,
  hostOf,
  pageFiles,
  requireOwnPage,
  signInRoutes,
  type WebApp,
} from '../api/index.js';
import type { ServerDoor } from './server-door.js';
import { Sessions } from './sessions.js';
import type { StoreDoor } from './store-door.js';
import { notLoggedIn } from './token-attempts.js';

/** Name of the cookie. Browsers take it only over TLS, or from loopback, and send it to this host only. */
export const PAGE_COOKIE = '__Host-tardis';

interface BrowserLogin {
  readonly client: string;
  readonly account: string;
  readonly token: string;
}

/** Adds the page to an app, and returns its routes. `read` returns a file of the page. */
export function pageRoutes(
  app: WebApp,
  door: StoreDoor | ServerDoor,
  read: (name: string) => Buffer,
): AddedRoute[] {
  const files = pageFiles(read);
  const sessions = new Sessions<BrowserLogin>(door.system.clock);
  void app.register(cookies);
  app.addHook('onRequest', async (request) => {
    const { headers } = request;
    const session = app.parseCookie(headers.cookie ?? '')[PAGE_COOKIE];
    const isSignIn = request.method === 'POST' && request.url.endsWith('/sign-in');
    if (headers.authorization !== undefined || (session === undefined && !isSignIn)) return;
    const host = hostOf(headers);
    requireOwnPage(request, (origin) => URL.parse(origin)?.host === host);
    const login = session === undefined ? undefined : sessions.find(session);
    if (login !== undefined) headers.authorization = `Bearer ${login.token}`;
  });
  addPageFiles(app, files);
  return signInRoutes({
    cookie: PAGE_COOKIE,
    isSecure: true,
    begin: async (secret, request) => {
      const token = secret.trim();
      const parts = parseToken(token);
      if (parts === undefined) throw notLoggedIn('this is not the token of an account');
      request.headers.authorization = `Bearer ${token}`;
      await door.authenticate(request);
      const { client, account } = parts;
      return sessions.begin({ client, account, token }).token;
    },
    end: (session) => void sessions.end(session),
  });
}
