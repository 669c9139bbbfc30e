/** Starts the HTTP interface of a store on this machine, or of the clients of a server. */
import type { AddressInfo } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { RecordDecoder } from '../../contents/index.js';
import { TardisError, systemReason } from '../../errors/index.js';
import { hostInUrl, type System } from '../../system/index.js';
import type { Certificate } from '../../transport/index.js';
import { newWebApp, trusting } from '../../web/api/index.js';
import { readPage } from '../shared/own-files.js';
import { archiveRoute } from '../../web/archive/index.js';
import { registerDav } from '../../web/dav/index.js';
import {
  type ClientsOfBucket,
  type OwnServer,
  type ReachedPlace,
  pageRoutes,
  registerRemoteApi,
  ServerDoor,
  StoreDoor,
} from '../../web/remote/index.js';

/** A store of this machine. */
interface StoreSource {
  readonly store: string;
  readonly catalogFile: string;
  /** The only client that is served; undefined serves all. */
  readonly onlyClient?: string | undefined;
  /** Access to the bucket, if the store is in one; otherwise undefined. */
  readonly following?: ClientsOfBucket | undefined;
  /** The `tardisd` in this process; undefined for a program that only reads. */
  readonly ownServer?: OwnServer | undefined;
}

export interface RemoteOptions {
  /** A store of this machine, or the clients of another server. */
  readonly source: StoreSource | { readonly server: ReachedPlace };
  readonly compress: boolean;
  readonly allowsCache: boolean;
  /** Addresses and blocks of trusted proxies, whose X-Forwarded-For is used. */
  readonly trustedProxies: readonly string[];
  readonly log: Logger;
  /** True if the call stack of each failed request is logged; otherwise only that of internal errors. */
  readonly logExceptions: boolean;
  readonly place: {
    readonly host: string;
    readonly port: number;
    /** Certificate and key; undefined for plain HTTP. */
    readonly certificate: Certificate | undefined;
  };
}

export interface Remote {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts to listen, until the result is closed. Throws LISTEN_FAILED, CONFIG_INVALID. */
export async function startRemote(system: System, options: RemoteOptions): Promise<Remote> {
  const { source, compress, allowsCache, trustedProxies, log, place } = options;
  trusting(trustedProxies); // checks the proxies before anything is opened
  const decoder = new RecordDecoder(system);
  const common = { system, decoder, allowsCache, log };
  const door =
    'server' in source
      ? new ServerDoor({ ...common, server: source.server })
      : new StoreDoor({ ...common, ...source });
  const onError = (
    { code, message, stack, row }: TardisError,
    { method, url }: Pick<FastifyRequest, 'method' | 'url'>,
  ): void => {
    if (code === 'SERVER_UNREACHABLE') return; // the door logs this error once
    const reason = { code, reason: message, method, url: url.split('?', 1)[0] };
    const detail = row.kind === 'bug' || options.logExceptions ? { stack } : {};
    log.error({ ...reason, ...detail }, 'a request failed');
  };
  const app = newWebApp({ tls: place.certificate, compresses: compress, onError, trustedProxies });
  const page = pageRoutes(app, door, readPage);
  registerRemoteApi(app, door, [archiveRoute({ onError }), ...page]);
  registerDav(app, door);
  const close = async (): Promise<void> => {
    await app.close();
    await door.close();
  };
  try {
    await app.listen({ host: place.host, port: place.port });
  } catch (error) {
    await close();
    const why = systemReason(error);
    const where = `${hostInUrl(place.host)}:${place.port}`;
    throw new TardisError('LISTEN_FAILED', `cannot listen on ${where}: ${why}`, {}, error);
  }
  const { port } = app.server.address() as AddressInfo;
  return { port, close };
}
