/** An HTTP server on loopback that shows one client's history to the user who started it. */
import type { AddressInfo } from 'node:net';
import { randomBytes } from 'node:crypto';
import cookies from '@fastify/cookie';
import type { FastifyRequest } from 'fastify';
import type { RecordDecoder } from '../../contents/index.js';
import { systemCode, TardisError } from '../../errors/index.js';
import type { ClientOverview, History } from '../../history/index.js';
import { displayText, RIGHTS } from '../../model/index.js';
import type { RestoreFailure } from '../../restore/index.js';
import { requireHost, type System } from '../../system/index.js';
import type { JobRunner } from '../../workers/index.js';
import {
  type AddedRoute,
  type Door,
  newWebApp,
  OpenContents,
  registerApi,
  type Visitor,
  type WebApp,
} from '../api/index.js';
import { actRoutes } from './act-routes.js';
import { Acts, type Commands } from './acts.js';
import { DELETED_ROUTE } from './deleted.js';
import { DOUBTS_HEADER, Restores, shownDoubts } from './restores.js';
import { Entrance, requireOwn } from './guard.js';
import { addPageFiles, PAGE_GUARDS, PAGE_URLS, pageFiles } from './page-files.js';
import { jobRoutes } from './job-routes.js';
import type { Jobs } from './jobs.js';

const LOOPBACK = '127.0.0.1';
const ENTER = '/enter';
const COOKIE = 'tardis-web';
const LABEL_BYTES = 8;
/** Maximum interval at which the server checks if it is idle. */
const MAX_LOOK_MS = 10_000;

interface LocalServerOptions {
  readonly system: System;
  readonly history: History;
  readonly decoder: RecordDecoder;
  /** The jobs of this program, to which restores and failed downloads are added. */
  readonly jobs: Jobs;
  /** Runs the commands of acts; absent if there are none. */
  readonly commands?: Commands;
  /** Opens the threads of a restore. The restore closes them at its end. */
  readonly openJobs: () => Promise<JobRunner>;
  readonly workers: number;
  /** Port to listen on; 0 lets the system choose one. */
  readonly port: number;
  /** Time without a request after which `ended` resolves; 0 for never. */
  readonly idleMs: number;
  /** Returns a file of the page. */
  readonly readPage: (name: string) => Buffer;
  /** Age from which a client is late, of the user's configuration. */
  readonly lateAfterMs?: number;
  /** The options by which a command finds the store. */
  readonly storeWords?: string;
  /** Returns when a check has last read data of a client. */
  readonly checkedAtMs?: (client: string) => number | undefined;
  /** Returns the clients for the overview. */
  readonly clients: () => Promise<readonly ClientOverview[]>;
  /** Routes of other modules. */
  readonly added?: readonly AddedRoute[];
  /** Adds handlers that are not routes of the API. */
  readonly extend?: (app: WebApp, door: Door) => void;
  readonly warn: (line: string) => void;
  /** Records damage that a restore has found. */
  readonly noteDamage?: (failures: readonly RestoreFailure[]) => Promise<void>;
}

export interface LocalServer {
  /** The address to open in a browser; it works once. */
  readonly url: string;
  /** The key for programs: `Authorization: Bearer KEY`. */
  readonly programKey: string;
  readonly port: number;
  /** Resolves when no request has come for the idle time and no restore runs. */
  readonly ended: Promise<void>;
  /** Stops restores and closes connections; the history stays open. */
  close(): Promise<void>;
}

/** Starts the server. Throws USAGE if the port is in use, and other errors of listening. */
export async function serveLocally(options: LocalServerOptions): Promise<LocalServer> {
  const { system, history, decoder, jobs, warn } = options;
  const page = pageFiles(options.readPage); // reads the files first: if that throws, nothing is open yet
  const app = newWebApp({
    onError: ({ code, message }) => warn(displayText(`a request failed: ${message} [${code}]`)),
  });
  const entrance = new Entrance();
  const contents = new OpenContents(system, history, decoder);
  const restores = new Restores(options);
  const { commands } = options;
  const acts = commands === undefined ? undefined : new Acts(jobs, commands);
  const activity = new Activity(options.idleMs, () => jobs.isRunning);
  const hosts = new Set<string>();
  await app.register(cookies);
  // A request that was refused does not count: any program of this machine can send it.
  app.addHook('preParsing', async ({ visitor }) => {
    if (visitor !== undefined) activity.note();
  });
  app.addHook('onRequest', async (request) => {
    // The page has no data of its own, and its address is opened from outside.
    const isOpen = PAGE_URLS.has(request.url) || request.url.startsWith(`${ENTER}?`);
    if (isOpen) requireHost(request.headers.host, hosts);
    else requireOwn(request, hosts);
  });
  app.addHook('onSend', async (_request, reply) => {
    const count = shownDoubts(history).length;
    if (count > 0) void reply.header(DOUBTS_HEADER, count);
  });
  addPageFiles(app, page);
  addEntrance(app, entrance);
  const door = doorOf(options, entrance, contents);
  registerApi(app, door, [
    DELETED_ROUTE,
    ...jobRoutes(jobs, { restores, acts }, history),
    ...(acts === undefined
      ? []
      : actRoutes({ jobs, acts, offers: commands?.offers ?? [] }, history)),
    ...(options.added ?? []),
  ]);
  options.extend?.(app, door);
  const close = async (): Promise<void> => {
    activity.close();
    jobs.stop();
    await restores.close();
    await acts?.close();
    await app.close();
    contents.close();
  };
  const port = await listen(app, options.port).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  // Browsers send cookies to all ports of a host. A host name of its own keeps the cookie from other servers of this
  // machine.
  const host = `t${randomBytes(LABEL_BYTES).toString('hex')}.localhost:${port}`;
  for (const name of [host, `localhost:${port}`, `${LOOPBACK}:${port}`]) hosts.add(name);
  return {
    url: `http://${host}${ENTER}?token=${entrance.token}`,
    programKey: entrance.programKey,
    port,
    ended: activity.ended,
    close,
  };
}

async function listen(app: WebApp, port: number): Promise<number> {
  try {
    await app.listen({ host: LOOPBACK, port });
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE') throw error;
    throw new TardisError('USAGE', `port ${port} is in use: choose another one`, { port }, error);
  }
  return (app.server.address() as AddressInfo).port;
}

/** Exchanges the token for a cookie. Scripts cannot read the cookie, and other sites' pages do not send it. */
function addEntrance(app: WebApp, entrance: Entrance): void {
  app.get(ENTER, async (request, reply) => {
    const { token } = request.query as { token?: string | string[] };
    const session = typeof token === 'string' ? entrance.enter(token) : undefined;
    void reply.headers({ ...PAGE_GUARDS, 'cache-control': 'no-store' });
    // If the token was wrong, the page is shown without a session, and explains what to do.
    if (session !== undefined) {
      void reply.setCookie(COOKIE, session, { path: '/', httpOnly: true, sameSite: 'strict' });
    }
    return reply.redirect('/', 303);
  });
}

const EVERYTHING: Visitor['rights'] = new Set(RIGHTS);

function doorOf(options: LocalServerOptions, entrance: Entrance, contents: OpenContents): Door {
  const { system, history, clients, lateAfterMs = 0, storeWords, checkedAtMs } = options;
  return {
    program: 'tardis-web',
    system,
    canRestore: true,
    offers: options.commands?.offers ?? [],
    doubts: () => shownDoubts(history),
    // If contents are decrypted, the browser must not store them in its files.
    allowsCache: history.contentKeys === undefined,
    authenticate: async (request: FastifyRequest) => {
      const { cookies: given, headers } = request;
      if (!entrance.isSession(given[COOKIE]) && !entrance.isProgram(headers.authorization)) {
        throw new TardisError('NOT_LOGGED_IN', 'open the address that tardis-web prints');
      }
      return { client: history.client, account: '', rights: EVERYTHING };
    },
    clients,
    lateAfterMs,
    ...(storeWords === undefined ? {} : { storeWords }),
    ...(checkedAtMs === undefined ? {} : { checkedAtMs }),
    onBroken: (set, path, error) =>
      options.jobs.addFailed({ kind: 'download', set, paths: [path] }, error),
    open: async (client) => {
      if (client !== history.client) {
        throw new TardisError('NO_SUCH_CLIENT', `the client that is open is "${history.client}"`);
      }
      const { objects } = contents;
      return { history, contents, objects, isSealed: false, release: () => undefined };
    },
  };
}

/**
 * Detects that the server is idle: `ended` resolves when no request of the user has come for the idle time and no restore runs.
 */
class Activity {
  readonly ended: Promise<void>;
  private lastMs = performance.now();
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, isBusy: () => boolean) {
    let end = (): void => undefined;
    this.ended = new Promise((resolve) => {
      end = resolve;
    });
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
