/**
 * Changes by the administrator of some clients, from the page of a `tardisd`: codes for new machines, requests for
 * backups, rules, and the quota. A token that only shows figures has the right `admin` too, so each change needs another right.
 */
import { TardisError } from '../../errors/index.js';
import type { RightName } from '../../model/index.js';
import {
  addTarget,
  endBackupRequest,
  endOldJoinCodes,
  makeJoinCode,
  requestBackup,
} from '../../store/index.js';
import { Credit, placeIn } from '../../system/index.js';
import {
  type AddedRoute,
  addedRoute,
  changedRules,
  checkedRules,
  invalidRequest,
  requireRight,
  type Visitor,
} from '../api/index.js';
import { REMOTE_ROUTES } from './routes.js';
import type { ServerDoor } from './server-door.js';
import { type OwnServer, StoreDoor } from './store-door.js';

/**
 * Returns the routes. They refuse if this program is not a `tardisd`, since only that writes to the store. `onClose` requests a
 * call when the program ends.
 */
export function administrationRoutes(
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
