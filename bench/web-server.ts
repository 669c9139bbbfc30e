/**
 * A server with the HTTP interface (a door) for the benchmark: `web-server.js STORE CLIENT`. Everybody may read. It
 * prints its port.
 */
import type { AddressInfo } from 'node:net';
import { Access, openLocalHistory } from '../src/history/index.js';
import { nodeSystem } from '../src/system/index.js';
import { RecordDecoder } from '../src/contents/index.js';
import { archiveRoute } from '../src/web/archive/index.js';
import { type Door, HistoryPool, newWebApp, registerApi } from '../src/web/api/index.js';
import { registerDav } from '../src/web/dav/index.js';

/** Number of logins that take turns, since the requests of each login are limited. */
const READERS = 200;
let requested = 0;

const [store = '', client = ''] = process.argv.slice(2);
const system = nodeSystem();
const pool = new HistoryPool(system, new RecordDecoder(system));
const access = new Access(undefined);
const door: Door = {
  program: 'tardis-web',
  system,
  allowsCache: true,
  authenticate: async () => {
    requested += 1;
    return { client, account: String(requested % READERS), rights: new Set(['list', 'read']) };
  },
  clients: async () => [],
  open: () =>
    pool.lease(client, async () => ({
      history: openLocalHistory(system, { store, client, access }),
      isSealed: false,
    })),
};
const onError = (error: Error): void => {
  process.stderr.write(`${error.message}\n`);
};
const app = newWebApp({ onError });
registerApi(app, door, [archiveRoute({ onError })]);
registerDav(app, door);
await app.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`${(app.server.address() as AddressInfo).port}\n`);
