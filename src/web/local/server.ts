/** An HTTP server that shows one client's history to the user who started it, on loopback or over TLS. */
import type { AddressInfo } from 'node:net';
import cookies from '@fastify/cookie';
import type { FastifyRequest } from 'fastify';
import type { RecordDecoder } from '../../contents/index.js';
import { systemCode, TardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import { displayText, RIGHTS } from '../../model/index.js';
import { hostInUrl, requireHost } from '../../system/index.js';
import type { Certificate } from '../../transport/index.js';
import {
  type AddedRoute,
  addPageFiles,
  addressOf,
  type BrowserSessions,
  cookieAttributes,
  DELETED_ROUTE,
  type Door,
  hostOf,
  type ListedClient,
  newWebApp,
  PAGE_GUARDS,
  PAGE_URLS,
  pageFiles,
  registerApi,
  signInRoutes,
  type Visitor,
  type WebApp,
} from '../api/index.js';
import { actRoutes } from './act-routes.js';
import { Clients, type OtherClients, type ShownClient, unlockRoute } from './clients.js';
import { Entrance, type OwnHosts, requireOwn } from './guard.js';
import { jobRoutes } from './job-routes.js';
import { shownDoubts } from './jobs.js';
import type { RestoringOptions } from './restores.js';

const LOOPBACK = '127.0.0.1';
const HTTPS_PORT = 443;
const ENTER = '/enter';
const COOKIE = 'tardis-web';
/** Header with the number of warnings so far. If the number changes, the page requests the warnings again. */
const DOUBTS_HEADER = 'x-tardis-doubts';
/** Maximum interval at which the server checks if it is idle. */
const MAX_LOOK_MS = 10_000;

/** Where the page is served. */
export interface LocalPlace {
  /** Port to listen on; 0 lets the system choose one. */
  readonly port: number;
  /**
   * Label of the host name on loopback. Browsers send cookies to all ports of a host, so a name of its own keeps the
   * cookie from other servers of this machine.
   */
  readonly label: string;
  /** Present if other machines can reach the page, then only over TLS; otherwise it is served on loopback. */
  readonly network?: NetworkPlace | undefined;
}

export interface NetworkPlace {
  readonly address: string;
  readonly certificate: Certificate;
  /** Returns all names and addresses of this machine, the one to show first. */
  readonly names: () => readonly string[];
}

interface LocalServerOptions extends Omit<ShownClient, 'name'>, RestoringOptions {
  /** The data of the first client, which the caller closes. */
  readonly history: History;
  /** Clients beside the first one; absent if only that is shown. */
  readonly others?: OtherClients;
  readonly decoder: RecordDecoder;
  readonly place: LocalPlace;
  /** True for the password of the page, or a code that was made for a browser. Throws TOO_MANY_ATTEMPTS. */
  readonly isSecret?: (secret: string, address: string) => Promise<boolean>;
  /** Time without a request after which `ended` resolves; 0 for never. */
  readonly idleMs: number;
  /** Returns a file of the page. */
  readonly readPage: (name: string) => Buffer;
  /** Age from which a client is late, of the user's configuration. */
  readonly lateAfterMs?: number;
  /** Returns all clients; `opened` returns the data of one that is open. */
  readonly clients: (
    opened: (name: string) => History | undefined,
  ) => Promise<readonly ListedClient[]>;
  /** Routes of other modules. */
  readonly added?: readonly AddedRoute[];
  /** Adds handlers that are not routes of the API. */
  readonly extend?: (app: WebApp, door: Door) => void;
  readonly warn: (line: string) => void;
}

export interface LocalServer {
  /** The address to open in a browser; it works once. */
  readonly url: string;
  /** The address of the page, for a browser that has signed in or will. */
  readonly address: string;
  /** The key for programs: `Authorization: Bearer KEY`. */
  readonly programKey: string;
  readonly port: number;
  /** Resolves when no request has come for the idle time and no job runs. */
  readonly ended: Promise<void>;
  /** Stops restores and closes connections; the history stays open. */
  close(): Promise<void>;
}

/** Starts the server. Throws USAGE if the port is in use, and other errors of listening. */
export async function serveLocally(options: LocalServerOptions): Promise<LocalServer> {
  const { jobs, warn, place } = options;
  const page = pageFiles(options.readPage); // reads the files first: if that throws, nothing is open yet
  const app = newWebApp({
    tls: place.network?.certificate,
    onError: ({ code, message }) => warn(displayText(`a request failed: ${message} [${code}]`)),
  });
  const entrance = new Entrance();
  const clients = clientsOf(options);
  const activity = new Activity(options.idleMs, () => jobs.isRunning);
  const hosts = new Hosts(place);
  const sessions = sessionsOf(options, entrance);
  await app.register(cookies);
  // A request that was refused does not count: any program of this machine can send it.
  app.addHook('preParsing', async ({ visitor }) => {
    if (visitor !== undefined) activity.note();
  });
  app.addHook('onRequest', async (request) => {
    // The page has no data of its own, and its address is opened from outside.
    const isOpen = PAGE_URLS.has(request.url) || request.url.startsWith(`${ENTER}?`);
    const own = hosts.own(hostOf(request.headers));
    if (isOpen) requireHost(hostOf(request.headers), own.hosts);
    else requireOwn(request, own);
  });
  app.addHook('onSend', async (_request, reply) => {
    const count = clients.allOpened().flatMap(shownDoubts).length;
    if (count > 0) void reply.header(DOUBTS_HEADER, count);
  });
  addPageFiles(app, page);
  addEntrance(app, entrance, sessions);
  const door = doorOf(options, { entrance, sessions }, clients);
  registerApi(app, door, [
    DELETED_ROUTE,
    ...signInRoutes(sessions),
    ...jobRoutes(options, clients),
    ...actRoutes({ jobs, clients }),
    unlockRoute(clients),
    ...(options.added ?? []),
  ]);
  options.extend?.(app, door);
  const close = async (): Promise<void> => {
    activity.close();
    await jobs.close();
    await app.close();
    await clients.close();
  };
  const port = await listen(app, place).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const address = hosts.opened(port);
  return {
    url: `${address.slice(0, -1)}${ENTER}?token=${entrance.token}`,
    address,
    programKey: entrance.programKey,
    port,
    ended: activity.ended,
    close,
  };
}

function clientsOf(options: LocalServerOptions): Clients {
  const { system, decoder, history, others, commands, storeWords, noteRestored } = options;
  const first = { name: history.client, commands, storeWords, noteRestored };
  return new Clients({ system, decoder, first, history, others });
}

/** The names under which the page is reached, as `name:port`. */
class Hosts {
  private readonly hosts = new Set<string>();
  private port = 0;

  constructor(private readonly place: LocalPlace) {}

  /** Notes the port. Returns the address of the page. */
  opened(port: number): string {
    this.port = port;
    this.learn();
    const { scheme, hosts } = this.own(undefined);
    const [first] = hosts;
    return `${scheme}://${first!}/`;
  }

  /** Returns the names. For an unknown one, the addresses of this machine are read again, since they change. */
  own(wanted: string | undefined): OwnHosts {
    const { network } = this.place;
    if (network !== undefined && wanted !== undefined && !this.hosts.has(wanted)) this.learn();
    return { scheme: network === undefined ? 'http' : 'https', hosts: this.hosts };
  }

  private learn(): void {
    const { network, label } = this.place;
    const names = network?.names() ?? [`${label}.localhost`, 'localhost', LOOPBACK];
    this.hosts.clear();
    for (const name of names) {
      this.hosts.add(`${hostInUrl(name)}:${this.port}`);
      if (this.port === HTTPS_PORT) this.hosts.add(hostInUrl(name)); // browsers leave it out
    }
  }
}

/** The sessions of browsers, which the token of the address or another secret begins. */
function sessionsOf({ place, isSecret }: LocalServerOptions, entrance: Entrance): BrowserSessions {
  const isSecure = place.network !== undefined;
  return {
    cookie: isSecure ? `__Host-${COOKIE}` : COOKIE,
    isSecure,
    begin: async (secret, request) => {
      if ((await isSecret?.(secret, addressOf(request))) === true) return entrance.begin();
      throw new TardisError('NOT_LOGGED_IN', 'the password or the code is wrong, or was used');
    },
    end: (session) => entrance.end(session),
  };
}

async function listen(app: WebApp, { port, network }: LocalPlace): Promise<number> {
  const host = network?.address ?? LOOPBACK;
  try {
    await app.listen({ host, port });
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EADDRNOTAVAIL') {
      throw new TardisError('USAGE', `${host} is no address of this machine`, {}, error);
    }
    if (code !== 'EADDRINUSE') throw error;
    throw new TardisError('USAGE', `port ${port} is in use: choose another one`, { port }, error);
  }
  return (app.server.address() as AddressInfo).port;
}

/** Exchanges the token for a cookie. Scripts cannot read the cookie, and other sites' pages do not send it. */
function addEntrance(app: WebApp, entrance: Entrance, sessions: BrowserSessions): void {
  app.get(ENTER, async (request, reply) => {
    const { token } = request.query as { token?: string | string[] };
    const session = typeof token === 'string' ? entrance.enter(token) : undefined;
    void reply.headers({ ...PAGE_GUARDS, 'cache-control': 'no-store' });
    // If the token was wrong, the page is shown without a session, and explains what to do.
    if (session !== undefined) {
      void reply.setCookie(sessions.cookie, session, cookieAttributes(sessions));
    }
    return reply.redirect('/', 303);
  });
}

const EVERYTHING: Visitor['rights'] = new Set(RIGHTS);

function doorOf(
  options: LocalServerOptions,
  { entrance, sessions }: { readonly entrance: Entrance; readonly sessions: BrowserSessions },
  clients: Clients,
): Door {
  const { system, lateAfterMs = 0 } = options;
  return {
    program: 'tardis-web',
    system,
    about: (client) => {
      const { name, commands, storeWords } = clients.find(client);
      const history = clients.opened(name);
      return {
        client: name,
        offers: [...(commands?.offers ?? [])],
        mountPoint: commands?.mountPoint,
        doubts: history === undefined ? [] : shownDoubts(history),
        storeWords,
      };
    },
    allowsCache: true,
    authenticate: async (request: FastifyRequest) => {
      const { cookies: given, headers } = request;
      if (
        !entrance.isSession(given[sessions.cookie]) &&
        !entrance.isProgram(headers.authorization)
      ) {
        throw new TardisError('NOT_LOGGED_IN', 'open the address that tardis-web prints');
      }
      return { client: undefined, account: '', rights: EVERYTHING };
    },
    clients: () => options.clients((name) => clients.opened(name)),
    lateAfterMs,
    onBroken: ({ client, set, path }, error) =>
      options.jobs.addFailed({ client, kind: 'download', set, paths: [path] }, error),
    open: (client) => clients.lease(client),
  };
}

/**
 * Detects that the server is idle: `ended` resolves when no request of the user has come for the idle time and no job runs.
 */
class Activity {
  readonly ended: Promise<void>;
  private lastMs = performance.now();
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, isBusy: () => boolean) {
    const { promise, resolve: end } = Promise.withResolvers<void>();
    this.ended = promise;
    if (idleMs === 0) return;
    this.timer = setInterval(
      () => {
        if (isBusy()) this.note();
        else if (performance.now() - this.lastMs >= idleMs) end();
      },
      Math.min(idleMs, MAX_LOOK_MS),
    );
  }

  note(): void {
    this.lastMs = performance.now();
  }

  close(): void {
    clearInterval(this.timer);
  }
}
