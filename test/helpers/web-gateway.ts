/** An HTTP interface in front of a tardisd, which it reaches by TLS, with tokens of accounts. */
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import type { RightName } from '../../src/model/index.js';
import { putAccount, putToken, tokenHash } from '../../src/store/index.js';
import type { Daemon } from '../../src/server/index.js';
import { type Clock, nodeSystem } from '../../src/system/index.js';
import { type Certificate, linkWith } from '../../src/transport/index.js';
import {
  type AddedRoute,
  type Door,
  newWebApp,
  type WebApp,
  type WebAppOptions,
} from '../../src/web/api/index.js';
import { type ReachedPlace, registerRemoteApi, ServerDoor } from '../../src/web/remote/index.js';
import { RecordDecoder } from '../../src/contents/index.js';
import { certificateIn } from './certificates.js';
import { type InlineServer, inlineSystem, type Place, startInline } from './inline.js';

export interface Gateway {
  readonly app: WebApp;
  readonly door: ServerDoor;
  close(): Promise<void>;
}

/** Gives a client an account with a new token, and returns the token. */
export async function giveToken(
  { store, client }: Place,
  account: string,
  rights: readonly RightName[],
): Promise<string> {
  const system = nodeSystem();
  const directory = path.join(store, client);
  const secret = randomBytes(32).toString('base64url');
  await putToken(system, directory, account, tokenHash(secret));
  await putAccount(system, directory, { name: account, rights }, undefined);
  return `${client}/${account}/${secret}`;
}

/** A server with TLS, and what a program in front of it needs to reach it. */
export type TlsServer = Pick<ReachedPlace, 'address' | 'tls'> &
  Pick<Daemon, 'stop'> & { readonly certificate: Certificate };

let made = 0;

export interface TlsServerOptions {
  readonly port?: number;
  /** Wraps the storage, to change the answers of the server. */
  readonly wrapHost?: InlineServer['wrapHost'];
  /** The server whose certificate this one has; it makes one of its own without. */
  readonly like?: TlsServer;
  /** Given if the store is a bucket. */
  readonly shared?: InlineServer['shared'];
  readonly onlyClient?: string | undefined;
}

/** Starts a server of a store. The files of its certificate are put into `home`. */
export async function startOverTls(
  home: string,
  store: string,
  { port = 0, wrapHost, like, shared, onlyClient }: TlsServerOptions = {},
): Promise<TlsServer> {
  const certificate = like?.certificate ?? (await certificateIn(home, `tardisd-${(made += 1)}`));
  const wrapped = wrapHost === undefined ? {} : { wrapHost };
  const daemon = await startInline(inlineSystem(), store, {
    port,
    certificate,
    shared,
    onlyClient,
    ...wrapped,
  });
  const tls = { validate: true, trusted: certificate.cert } as const;
  return { certificate, address: daemon.address, tls, stop: () => daemon.stop() };
}

export interface GatewayOptions {
  readonly added?: readonly AddedRoute[];
  readonly more?: (app: WebApp, door: Door) => void;
  readonly tls?: WebAppOptions['tls'];
  readonly onError?: WebAppOptions['onError'];
  readonly trustedProxies?: readonly string[];
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/** Serves the clients of a server. */
export async function openGateway(
  { address, tls: serverTls }: Pick<ReachedPlace, 'address' | 'tls'>,
  {
    added = [],
    more,
    tls,
    onError = () => undefined,
    trustedProxies = [],
    timeoutMs = 20_000,
    clock,
  }: GatewayOptions = {},
): Promise<Gateway> {
  const system = inlineSystem(clock === undefined ? {} : { clock });
  const door = new ServerDoor({
    system,
    decoder: new RecordDecoder(system),
    server: { address, tls: serverTls, link: linkWith(timeoutMs) },
    allowsCache: true,
    log: pino({ level: 'silent' }),
  });
  const app = newWebApp({ tls, onError, trustedProxies });
  registerRemoteApi(app, door, added);
  more?.(app, door);
  await app.ready();
  return {
    app,
    door,
    close: async () => {
      await app.close();
      await door.close();
    },
  };
}
