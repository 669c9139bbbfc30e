/** An API over the history lab's store, used without a socket. */
import type { ClientOverview, History } from '../../src/history/index.js';
import { NO_FACTS, type RightName } from '../../src/model/index.js';
import { TardisError } from '../../src/errors/index.js';
import {
  type AddedRoute,
  type Door,
  HistoryPool,
  newWebApp,
  registerApi,
  tokenIn,
  type WebApp,
  type WebAppOptions,
} from '../../src/web/api/index.js';
import { inlineSystem } from './inline.js';
import { RecordDecoder } from '../../src/contents/index.js';

export interface WebLab {
  readonly app: WebApp;
  readonly pool: HistoryPool;
  close(): Promise<void>;
}

const ALL: readonly RightName[] = ['list', 'read', 'admin'];

/**
 * Returns an API in which `Authorization: Bearer CLIENT:RIGHT,RIGHT…` is a login,
 * and `Bearer ACCOUNT/CLIENT:…` that of a sub-account. `open` opens the one client.
 */
export async function makeWebLab(
  client: string,
  open: () => Promise<History>,
  isSealed = false,
  added: readonly AddedRoute[] = [],
  more: (app: WebApp, door: Door) => void = () => undefined,
  tls?: WebAppOptions['tls'],
): Promise<WebLab> {
  const system = inlineSystem();
  const pool = new HistoryPool(system, new RecordDecoder(system));
  const overview: ClientOverview = {
    ...NO_FACTS,
    client,
    completeSets: 1,
    newestSet: 1,
    protection: 'password',
    requestedAtMs: 0,
    requestedBy: '',
  };
  const door: Door = {
    program: 'tardisremote',
    system,
    allowsCache: true,
    authenticate: async ({ headers: { authorization = '' } }) => {
      const token = tokenIn(authorization) ?? authorization.replace('Bearer ', '');
      const [, account = '', name, rights] = /^(?:([^:/]+)\/)?([^:]+):(.*)$/.exec(token) ?? [];
      if (name === undefined || rights === undefined) {
        throw new TardisError('NOT_LOGGED_IN', 'a login is needed');
      }
      const words = rights === 'all' ? ALL : (rights.split(',') as RightName[]);
      return { client: name, account, rights: new Set(words) };
    },
    clients: async () => [overview],
    open: async (name) => {
      if (name !== client) throw new TardisError('NO_SUCH_CLIENT', `no client "${name}"`);
      return pool.lease(name, async () => ({ history: await open(), isSealed }));
    },
  };
  const app = newWebApp({ tls, onError: () => undefined });
  registerApi(app, door, added);
  more(app, door);
  await app.ready();
  return {
    app,
    pool,
    close: async () => {
      await app.close();
      await pool.close();
    },
  };
}
