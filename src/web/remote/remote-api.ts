/** Adds the API of a server to an app: the common routes, logins, questions of the tools, and metrics. */
import type { FastifyRequest } from 'fastify';
import {
  addedRoute,
  type AddedRoute,
  addressOf,
  changedRules,
  checkedRules,
  DELETED_ROUTE,
  invalidRequest,
  registerApi,
  requireRight,
  type Visitor,
  type WebApp,
} from '../api/index.js';
import { protocolViolation, TardisError } from '../../errors/index.js';
import { stateOf } from '../../history/index.js';
import { NO_BYTES, type RightName } from '../../model/index.js';
import {
  answerWith,
  openMetrics,
  readingQuestion,
  readOnlyHandlers,
  wholeMessage,
} from '../../server/index.js';
import {
  addTarget,
  endBackupRequest,
  endOldJoinCodes,
  makeJoinCode,
  requestBackup,
} from '../../store/index.js';
import { Credit, placeIn, programVersion } from '../../system/index.js';
import {
  type Channel,
  channelOf,
  encodeMessage,
  MESSAGES,
  peekMessage,
  PROTOCOL_VERSION,
} from '../../transport/index.js';
import type { Proven } from './logins.js';
import { MAX_QUESTION_BYTES, QUESTION_TYPE, REMOTE_ROUTES } from './routes.js';
import type { ServerDoor } from './server-door.js';
import { type OwnServer, StoreDoor } from './store-door.js';

const METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/**
 * Registers all routes of a server. `more` are routes of other folders, such as that of archives. For a program in
 * front of a `tardisd`, only tokens log in.
 */
export function registerRemoteApi(
  app: WebApp,
  door: StoreDoor | ServerDoor,
  more: readonly AddedRoute[] = [],
): void {
  const parser = { parseAs: 'buffer', bodyLimit: MAX_QUESTION_BYTES } as const;
  app.addContentTypeParser(QUESTION_TYPE, parser, async (_: FastifyRequest, body: Buffer) => body);
  const logins = door instanceof StoreDoor ? loginRoutes(door) : [refusedLogin()];
  registerApi(app, door, [
    ...logins,
    DELETED_ROUTE,
    askRoute(door),
    metricsRoute(door),
    ...administrationRoutes(door, (close) => void app.addHook('onClose', close)),
    ...more,
  ]);
}

function loginRoutes(door: StoreDoor): AddedRoute[] {
  const { logins, sessions } = door;
  return [
    addedRoute(REMOTE_ROUTES.loginChallenge, async ({ body, request }) => {
      const channel = await channelOfRequest(request);
      const { id, challenge } = await logins.begin(bytesIn(body.greeting), channel);
      return { login: id, challenge: challenge.toString('base64') };
    }),
    addedRoute(REMOTE_ROUTES.loginProof, async ({ body, request }) => {
      const channel = await channelOfRequest(request);
      const proven = await logins.prove(body.login, bytesIn(body.proof), channel);
      const { rights, ...session } = await door.beginSession(proven);
      return { ...session, rights: [...rights], welcome: welcomeOf(proven) };
    }),
    addedRoute(REMOTE_ROUTES.logout, async ({ request }) => {
      const token = request.headers.authorization?.replace(/^bearer +/i, '') ?? '';
      if (!sessions.end(token)) {
        const what = 'this token is of an account, and ends with it (sonic account --remove)';
        throw new TardisError('NOT_PERMITTED', what);
      }
      return {};
    }),
  ];
}

/**
 * Returns a route that refuses a login by password, and names the other way. A password is proven only to the server
 * that has the client.
 */
function refusedLogin(): AddedRoute {
  return addedRoute(REMOTE_ROUTES.loginChallenge, async () => {
    const what =
      'this server reads through another one, and takes tokens only (sonic account --token)';
    throw new TardisError('NOT_PERMITTED', what);
  });
}

/** Returns the message `welcome` in base64, as a session's connection gets it. */
function welcomeOf({ proof, keys }: Proven): string {
  const { head } = encodeMessage('welcome', {
    protocol: PROTOCOL_VERSION,
    software: `tardis-pipeline ${programVersion()}`,
    incarnation: NO_BYTES,
    creditBytes: 0,
    proof,
    keys,
    quotaBytes: 0,
    usedBytes: 0,
    ticket: NO_BYTES,
    upTo: 0,
  });
  return head.toString('base64');
}

function askRoute(door: StoreDoor | ServerDoor): AddedRoute {
  return addedRoute(REMOTE_ROUTES.questions, async ({ lease, visitor, request, reply }) => {
    const { body } = request;
    if (!Buffer.isBuffer(body)) {
      throw protocolViolation(`a question is sent as ${QUESTION_TYPE}`);
    }
    const name = readingQuestion(peekMessage(body, 'to-server'));
    requireRight(visitor, MESSAGES[name].right as RightName);
    const { history, contents } = lease;
    const handlers = readOnlyHandlers(history, contents.objects, () => door.clients(visitor));
    const answer = await answerWith(handlers, name, body);
    await reply.type(QUESTION_TYPE).send(wholeMessage(answer));
  });
}

function metricsRoute(door: StoreDoor | ServerDoor): AddedRoute {
  return addedRoute(REMOTE_ROUTES.metrics, async ({ visitor, reply }) => {
    const clients = await door.clients(visitor);
    const nowMs = door.system.clock.nowMs();
    const of = (value: (client: (typeof clients)[number]) => number | undefined) =>
      clients.map((client) => ({ labels: { client: client.client }, value: value(client) }));
    const text = openMetrics([
      {
        name: 'tardisremote_sessions',
        help: 'Sessions that have logged in by password.',
        samples: [{ value: door instanceof StoreDoor ? door.sessions.count : 0 }],
      },
      {
        name: 'tardisremote_open_histories',
        help: 'Clients that are open for reading.',
        samples: [{ value: door.openCount }],
      },
      {
        name: 'tardisremote_client_complete_sets',
        help: 'Complete backup sets of a client.',
        samples: of(({ completeSets }) => completeSets),
      },
      {
        name: 'tardisremote_client_newest_seconds',
        help: 'When the newest complete set ended, since 1970.',
        samples: of(({ newestAtMs }) => (newestAtMs === 0 ? undefined : newestAtMs / 1000)),
      },
      {
        name: 'tardisremote_client_last_restore_timestamp_seconds',
        help: 'Time at which files were last restored and all of their contents had the right digests.',
        samples: of(({ restoredAtMs }) => (restoredAtMs === 0 ? undefined : restoredAtMs / 1000)),
      },
      {
        name: 'tardisremote_client_state',
        help: '1 for the state of the client: good, running, warned, late, failed, never or unknown.',
        samples: clients.map((one) => ({
          labels: { client: one.client, state: stateOf(one, { nowMs }).state },
          value: 1,
        })),
      },
    ]);
    await reply.type(METRICS_TYPE).header('cache-control', 'no-store').send(text);
  });
}

/** Returns the channel to which a login over the connection of a request is bound. */
async function channelOfRequest(request: FastifyRequest): Promise<Channel> {
  return { ...(await channelOf(request.raw.socket)), peerAddress: addressOf(request) };
}

function bytesIn(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

/**
 * Returns the routes of changes by the administrator of some clients, from the page of a `tardisd`: codes for new machines,
 * requests for backups, rules, and the quota. A token that only shows figures has the right `admin` too, so each change
 * needs another right. The routes refuse if this program is not a `tardisd`, since only that writes to the store. `onClose` requests a
 * call when the program ends.
 */
function administrationRoutes(
  door: StoreDoor | ServerDoor,
  onClose: (close: () => Promise<void>) => void,
): AddedRoute[] {
  const accounts = new AccountFiles(door);
  onClose(() => accounts.close());
  return [
    addedRoute(REMOTE_ROUTES.join, async ({ visitor, body: { client, server } }) => {
      const { ownServer, store } = administered(door, visitor, 'add');
      const owned = ownClient(visitor);
      const { text, untilMs } = await accounts.makeCode(store, {
        owned,
        client,
        server: withPort(server, ownServer.port),
        certificate: ownServer.certificate.cert,
      });
      return { code: text, untilMs };
    }),
    addedRoute(REMOTE_ROUTES.requestBackup, async ({ visitor, body: { client, isWithdrawn } }) => {
      const { store } = administered(door, visitor, 'add');
      const seen = await door.clients(visitor);
      if (!seen.some((one) => one.client === client)) {
        throw new TardisError('NOT_PERMITTED', 'the login is of other clients');
      }
      const by = `${ownClient(visitor)}/${visitor.account}`;
      if (isWithdrawn === true) endBackupRequest(door.system, store, client);
      else await requestBackup(door.system, store, { client, by });
      return {};
    }),
    addedRoute(REMOTE_ROUTES.quota, async ({ visitor, body: { quotaBytes } }) => {
      const { ownServer } = administered(door, visitor, 'quota');
      const change = () => ownServer.changeQuota(ownClient(visitor), quotaBytes);
      const { account, targets, beforeBytes } = await accounts.inTurn(change);
      return { account, targets: [...targets], beforeBytes };
    }),
    addedRoute(REMOTE_ROUTES.rules, async ({ visitor, body, lease }) => {
      const { ownServer } = administered(door, visitor, 'purge');
      const changed = changedRules(checkedRules(body), await lease.history.reports.settings());
      // Rules that are removed come last, since a change may be broken off.
      for (const [key, words] of changed.toSorted(
        ([, one], [, other]) => Number(one === '') - Number(other === ''),
      )) {
        await ownServer.changeSetting(ownClient(visitor), key, words === '' ? undefined : words);
      }
      return {};
    }),
  ];
}

/** Returns the server and its store. Throws NOT_PERMITTED if there is none, or if the visitor lacks a right. */
function administered(
  door: StoreDoor | ServerDoor,
  visitor: Visitor,
  right: RightName,
): { ownServer: OwnServer; store: string } {
  if (!(door instanceof StoreDoor) || door.options.ownServer === undefined) {
    const where = 'use the page of the tardisd itself (Remote = yes), or `sonic` on its machine';
    throw new TardisError('NOT_PERMITTED', `this program only reads: ${where}`);
  }
  requireRight(visitor, right);
  return { ownServer: door.options.ownServer, store: door.options.store };
}

/** Returns a server as HOST:PORT. Throws REQUEST_INVALID; an IPv6 address needs brackets, since its end may be a port. */
function withPort(server: string, ownPort: number): string {
  const { host = '', port = ownPort } = placeIn(server) ?? {};
  const isBare = host.includes(':') && !host.startsWith('[');
  if (host !== '' && !isBare) return `${host}:${port}`;
  throw invalidRequest('the server is HOST or HOST:PORT; an IPv6 address is in brackets');
}

function ownClient({ client }: Visitor): string {
  if (client !== undefined) return client;
  throw new TardisError('NOT_PERMITTED', 'the login is of no client');
}

type Joining = Parameters<typeof makeJoinCode>[2] & { readonly owned: string };

/** Interval at which codes that were not used in time are ended. */
const OLD_CODES_MS = 60_000;

/**
 * Changes the files of accounts, one change after the other. At intervals it takes clients out of them whose codes were not used
 * in time.
 */
class AccountFiles {
  private readonly turn = new Credit(1);
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(private readonly door: StoreDoor | ServerDoor) {
    if (!(door instanceof StoreDoor) || door.options.ownServer === undefined) return;
    const { store, log } = door.options;
    const look = (): void => {
      this.inTurn(() => endOldJoinCodes(door.system, store)).catch((error: unknown) => {
        log.error({ err: error }, 'clients of old codes stay in their accounts');
      });
    };
    this.timer = setInterval(look, OLD_CODES_MS).unref();
    look();
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.turn.run(async () => undefined);
  }

  /** Runs a change after all earlier ones. Throws the errors of the change. */
  inTurn<T>(change: () => Promise<T>): Promise<T> {
    return this.turn.run(change);
  }

  makeCode(store: string, joining: Joining): ReturnType<typeof makeJoinCode> {
    const { system } = this.door;
    return this.inTurn(async () => {
      await endOldJoinCodes(system, store);
      const addedTo = await addTarget(system, store, joining);
      return makeJoinCode(system, store, { ...joining, addedTo });
    });
  }
}
