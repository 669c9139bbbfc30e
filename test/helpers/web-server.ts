/** A server of the HTTP interface, on a port of its own, with a certificate that it has made itself. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { pino } from 'pino';
import type { History } from '../../src/history/index.js';
import { openRemoteHistory } from '../../src/remote/index.js';
import { nodeSystem, packageRoot } from '../../src/system/index.js';
import { newWebApp, type WebApp } from '../../src/web/api/index.js';
import {
  pageRoutes,
  registerRemoteApi,
  StoreDoor,
  type StoreDoorOptions,
} from '../../src/web/remote/index.js';
import { RecordDecoder } from '../../src/contents/index.js';
import { certificateIn } from './certificates.js';
import type { HistoryLab } from './history-lab.js';
import { PASSWORD } from './rewrites.js';

export interface WebServer {
  readonly app: WebApp;
  readonly door: StoreDoor;
  readonly port: number;
  readonly certFile: string;
  close(): Promise<void>;
}

let made = 0;

/** Reads a file of the page as it was built. */
function readPage(name: string): Buffer {
  return readFileSync(path.join(packageRoot(), 'dist/bundle/page', name));
}

/** Serves a store. Its files are put into `home`. */
export async function startWeb(
  home: string,
  store: string,
  more: Partial<StoreDoorOptions> = {},
): Promise<WebServer> {
  const system = nodeSystem();
  const name = `web-${(made += 1)}`;
  const tls = await certificateIn(home, name);
  const { certFile } = tls;
  const app = newWebApp({ tls, onError: () => undefined });
  const door = new StoreDoor({
    system,
    decoder: new RecordDecoder(system),
    store,
    catalogFile: 'tardis.db',
    allowsCache: true,
    log: pino({ level: 'silent' }),
    ...more,
  });
  registerRemoteApi(app, door, pageRoutes(app, door, readPage));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return {
    app,
    door,
    port,
    certFile,
    close: async () => {
      await app.close();
      await door.close();
    },
  };
}

/** Opens a client of a lab through such a server, as the tools do. Closing the history ends the server. */
export async function openByWeb(lab: HistoryLab, client: string): Promise<History> {
  const server = await startWeb(lab.home, lab.place.store);
  try {
    const history = await openThroughWeb(server, client);
    return endingWith(history, () => void server.close());
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** Returns a history whose closing also ends something else. */
export function endingWith<T extends History>(history: T, end: () => void): T {
  const close = history.close.bind(history);
  return new Proxy(history, {
    get: (target, name) =>
      name === 'close'
        ? () => {
            close();
            end();
          }
        : (Reflect.get(target, name, target) as unknown),
  });
}

/** Logs in to a server, and opens a client. */
export function openThroughWeb(
  { port }: Pick<WebServer, 'port'>,
  client: string,
  { password = PASSWORD, account = '' } = {},
): Promise<History> {
  const secret = Buffer.from(password);
  return openRemoteHistory(nodeSystem(), {
    address: { kind: 'tcp', host: '127.0.0.1', port },
    tls: { validate: false },
    webPath: '',
    client,
    credentials: {
      password: secret,
      ask: async () => secret,
      ...(account === '' ? {} : { account }),
    },
  });
}
