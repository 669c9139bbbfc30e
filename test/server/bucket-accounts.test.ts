// Pace: slow
/** Programs that serve a bucket: sessions of accounts and tokens end when these are taken, and while the bucket is away. */
import path from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { asTardisError, TardisError } from '../../src/errors/index.js';
import { openRemoteHistory } from '../../src/remote/index.js';
import {
  addTokenAccount,
  type BucketAccess,
  fetchClient,
  openClientDirectory,
  putAccount,
  removeAccount,
  tokenHash,
} from '../../src/store/index.js';
import { catchUp, Following, isBehind } from '../../src/store/writer/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { copiedToBucket, machine } from '../helpers/history-in-bucket.js';
import { type HistoryLab, makeHistoryLab, removeHistoryLab } from '../helpers/history-lab.js';
import { inlineSystem } from '../helpers/inline.js';
import { giveAccount, PASSWORD } from '../helpers/rewrites.js';
import { openGateway, startOverTls, type TlsServer } from '../helpers/web-gateway.js';
import { openThroughWeb, startWeb } from '../helpers/web-server.js';
import type { Objects } from '../support/memory-object-store.js';
import { until } from '../helpers/until.js';

const test = anyTest as TestFn<undefined>;
const system = inlineSystem();
const CATALOG = 'tardis.db';
const CLIENT = 'me';
const SECRET = 'A'.repeat(43);
const SETS = '/api/v1/clients/me/sets';

let lab: HistoryLab;
/** The bucket of all tests, with one client. */
const objects: Objects = new Map();
let writer: BucketAccess;

test.before(async () => {
  lab = await makeHistoryLab(false);
  ({ writer } = await copiedToBucket(lab, CLIENT, objects));
  await fetchClient(system, writer, CLIENT);
});
test.after.always(async () => {
  await removeHistoryLab(lab);
});

/** A machine that serves the bucket, and loses it. */
class Served {
  isAway = false;
  /** Requests for accounts. */
  requested = 0;
  readonly access: BucketAccess;
  readonly following: Following;

  constructor(t: ExecutionContext) {
    this.access = machine(lab.home, objects, (_kind, name) => {
      if (name.includes('/accounts/')) this.requested += 1;
      if (this.isAway)
        throw new TardisError('BUCKET_UNREACHABLE', 'the bucket is at a secret place');
    });
    this.following = new Following({
      system,
      access: this.access,
      catalogFile: CATALOG,
      everyMs: 2000,
      warn: () => undefined,
      apply: (directory) => catchUp(system, directory),
    });
    t.teardown(() => this.following.close());
  }

  async daemon(t: ExecutionContext, onlyClient?: string): Promise<TlsServer> {
    const { following, access } = this;
    const shared = {
      look: (client: string) => following.look(client),
      lookAccounts: (client: string) => following.lookAccounts(client),
      fetchAccounts: (client: string) => following.fetchAccounts(client),
      fetchAccountFiles: () => following.fetchAccountFiles(),
      usedBytes: async () => 0,
      forgetUsed: () => undefined,
      fetchNow: (client: string) => following.fetchNow(client),
      refresh: (client: string) => following.refresh(client),
      requireBucket: async () => undefined,
      isBehind: (client: string) =>
        isBehind(
          system,
          openClientDirectory(system, { store: access.cache, client, catalogFile: CATALOG }),
        ),
    };
    const server = await startOverTls(lab.home, access.cache, { shared, onlyClient });
    t.teardown(() => server.stop());
    return server;
  }
}

const home = (): string => path.join(writer.cache, CLIENT);

async function giveToken(name: string): Promise<string> {
  await addTokenAccount(system, home(), { name, rights: ['list', 'read'] }, tokenHash(SECRET));
  return `${CLIENT}/${name}/${SECRET}`;
}

async function statusOf(
  { app }: Pick<Awaited<ReturnType<typeof startWeb>>, 'app'>,
  token: string,
): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  return (await app.inject({ method: 'GET', url: SETS, headers })).statusCode;
}

test('a token opens a client of a bucket at tardisremote, until it is taken, and not while the bucket is away', async (t) => {
  const token = await giveToken('remote');
  const served = new Served(t);
  const door = await startWeb(lab.home, served.access.cache, { following: served.following });
  t.teardown(() => door.close());
  t.is(await statusOf(door, token), 200);
  t.is(await statusOf(door, token.replace(/A$/, 'B')), 401);
  t.is(await statusOf(door, `nobody/remote/${SECRET}`), 401);
  await putAccount(system, home(), { name: 'remote', rights: ['read'] }, undefined);
  await until(async () => (await statusOf(door, token)) === 403);
  await putAccount(system, home(), { name: 'remote', rights: ['list'] }, undefined);
  await until(async () => (await statusOf(door, token)) === 200);
  const before = served.requested;
  await Promise.all(Array.from({ length: 20 }, () => statusOf(door, token)));
  t.true(served.requested - before <= 1, 'requests share a look');
  served.isAway = true;
  const statuses = new Set<number>();
  await until(async () => {
    const status = await statusOf(door, token);
    statuses.add(status);
    return status !== 200;
  });
  t.deepEqual(
    [...statuses].filter((status) => status !== 200),
    [503],
  );
  served.isAway = false;
  await until(async () => (await statusOf(door, token)) === 200);
  await removeAccount(system, home(), 'remote');
  await until(async () => (await statusOf(door, token)) === 401);
});

test('an account opens a client of a bucket at tardisremote by its password, until it is taken', async (t) => {
  await giveAccount({ store: writer.cache, client: CLIENT }, 'web', ['list', 'read']);
  const served = new Served(t);
  const door = await startWeb(lab.home, served.access.cache, { following: served.following });
  t.teardown(() => door.close());
  const begin = door.door.beginSession.bind(door.door);
  let token = '';
  door.door.beginSession = async (proven) => {
    const begun = await begin(proven);
    ({ token } = begun);
    return begun;
  };
  const open = (account: string) => openThroughWeb(door, CLIENT, { account });
  t.is(asTardisError(await t.throwsAsync(open('nobody'))).code, 'LOGIN_FAILED');
  const history = await open('web');
  t.true((await history.sets()).length > 0);
  history.close();
  t.is(await statusOf(door, token), 200);
  served.isAway = true;
  await until(async () => (await statusOf(door, token)) === 503);
  served.isAway = false;
  // The session has not ended meanwhile.
  await until(async () => (await statusOf(door, token)) === 200);
  await removeAccount(system, home(), 'web');
  await until(async () => (await statusOf(door, token)) === 401);
});

test('a token opens a client of a bucket at a tardisd, until it is taken', async (t) => {
  const token = await giveToken('gate');
  const served = new Served(t);
  const gateway = await openGateway(await served.daemon(t));
  t.teardown(() => gateway.close());
  t.is(await statusOf(gateway, token), 200);
  t.is(await statusOf(gateway, token.replace(/A$/, 'B')), 401);
  served.isAway = true;
  await until(async () => (await statusOf(gateway, token)) === 503);
  served.isAway = false;
  await until(async () => (await statusOf(gateway, token)) === 200);
  await removeAccount(system, home(), 'gate');
  await until(async () => (await statusOf(gateway, token)) === 401);
});

function openAs({ address, tls }: TlsServer, account: string) {
  const ask = () => Promise.resolve(Buffer.from(PASSWORD));
  const credentials = { password: undefined, account, ask };
  return openRemoteHistory(system, { address, tls, client: CLIENT, credentials });
}

test.serial(
  'a list of accounts that is damaged lets nobody in, and strangers learn nothing of it',
  async (t) => {
    await giveAccount({ store: writer.cache, client: CLIENT }, 'cat', ['list', 'read']);
    const token = await giveToken('script');
    const served = new Served(t);
    const server = await served.daemon(t);
    const gateway = await openGateway(server);
    t.teardown(() => gateway.close());
    const door = await startWeb(lab.home, served.access.cache, { following: served.following });
    t.teardown(() => door.close());
    (await openAs(server, 'cat')).close();
    const codeFor = async (account: string) => rejectedCode(openAs(server, account));
    const lists = [...objects.keys()].filter((name) => name.startsWith('c/me/accounts/'));
    const next = `c/me/accounts/${String(lists.length + 1).padStart(10, '0')}.json`;
    objects.set(next, { bytes: Buffer.from('no list'), modifiedMs: 0 });
    try {
      await until(async () => (await codeFor('cat')) === 'ACCOUNTS_DAMAGED');
      t.is(await codeFor('nobody'), 'LOGIN_FAILED');
      const wrong = token.replace(/A$/, 'B');
      for (const web of [gateway, door]) {
        t.deepEqual([await statusOf(web, wrong), await statusOf(web, token)], [401, 500]);
      }
    } finally {
      objects.delete(next);
    }
  },
);

test.serial('tokens for clients that are not served cause no requests', async (t) => {
  const served = new Served(t);
  const gateway = await openGateway(await served.daemon(t, 'other'));
  t.teardown(() => gateway.close());
  const more = { following: served.following, onlyClient: 'other' };
  const door = await startWeb(lab.home, served.access.cache, more);
  t.teardown(() => door.close());
  const token = await giveToken('only');
  for (const web of [gateway, door]) t.is(await statusOf(web, token), 401);
  t.is(served.requested, 0);
});

test('sessions of accounts end when the account is taken, and while the bucket is away', async (t) => {
  const served = new Served(t);
  const server = await served.daemon(t);
  const open = (account: string) => openAs(server, account);
  const codeAtEnd = async (history: Awaited<ReturnType<typeof open>>): Promise<string> => {
    let code = '';
    await until(async () => {
      try {
        await history.sets();
      } catch (error) {
        ({ code } = asTardisError(error));
      }
      return code !== '';
    });
    history.close();
    return code;
  };
  const place = { store: writer.cache, client: CLIENT };
  for (const name of ['ann', 'ben']) await giveAccount(place, name, ['list', 'read']);
  const [ann, ben] = [await open('ann'), await open('ben')];
  await removeAccount(system, home(), 'ann');
  t.is(await codeAtEnd(ann), 'NO_SUCH_ACCOUNT');
  t.true((await ben.sets()).length > 0);
  served.isAway = true;
  t.is(await codeAtEnd(ben), 'STORE_AWAY');
  const refused = await t.throwsAsync(open('ben'));
  t.is(asTardisError(refused).code, 'STORE_AWAY');
  t.notRegex(String(refused), /secret place/);
  served.isAway = false;
  const again = await open('ben');
  t.true((await again.sets()).length > 0);
  again.close();
});
