// Pace: slow
/** A login through a `tardisd` whose password changes between challenge and proof. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { SharedClients } from '../../src/server/index.js';
import { asTardisError } from '../../src/errors/index.js';
import type { History } from '../../src/history/index.js';
import { openRemoteHistory } from '../../src/remote/index.js';
import type { RightName } from '../../src/model/index.js';
import { putAccount, removeAccount } from '../../src/store/index.js';
import type { Address } from '../../src/system/index.js';
import type { KeptStretch } from '../../src/transport/login/index.js';
import { rejectedCode } from '../helpers/codes.js';
import {
  backupInline,
  inlineLab,
  type InlineServer,
  inlineSystem,
  startInline,
} from '../helpers/inline.js';
import { giveAccount, PASSWORD } from '../helpers/rewrites.js';
import { file } from '../helpers/tree.js';
import { until } from '../helpers/until.js';

const NOTHING_SHARED: SharedClients = {
  look: async () => undefined,
  lookAccounts: async () => undefined,
  fetchAccounts: async () => undefined,
  fetchAccountFiles: async () => undefined,
  usedBytes: async () => 0,
  forgetUsed: () => undefined,
  fetchNow: async () => undefined,
  refresh: async () => undefined,
  requireBucket: async () => undefined,
  isBehind: async () => false,
};

/** Makes a client with one set and the account bob, and starts its server when `serve` is called. */
async function clientOfBob(t: ExecutionContext, rights: RightName[] = ['list', 'read']) {
  const { place, source: tree, backup } = inlineLab(t, [file('one', 'first')]);
  const system = inlineSystem();
  await backup({ password: PASSWORD }, system);
  await giveAccount(place, 'bob', rights);
  const serve = async (options: InlineServer = {}): Promise<Address> => {
    const daemon = await startInline(system, place.store, options);
    t.teardown(() => daemon.stop());
    return daemon.address;
  };
  const directory = path.join(place.store, 'me');
  const exchange = async (): Promise<void> => {
    await removeAccount(system, directory, 'bob');
    await giveAccount(place, 'bob', rights);
  };
  return { system, place, tree, directory, serve, exchange };
}

/** Logs in as bob. Calls `meanwhile` when the challenge has come. */
function openAsBob(
  address: Address,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<History> {
  const ask = async (): Promise<Buffer> => {
    await meanwhile();
    return Buffer.from(PASSWORD);
  };
  const credentials = { password: undefined, account: 'bob', ask };
  return openRemoteHistory(inlineSystem(), { address, client: 'me', credentials });
}

test('a login counts for the key record that it began with only', async (t) => {
  const { serve, exchange } = await clientOfBob(t);
  const address = await serve();
  (await openAsBob(address)).close();
  const changed = openAsBob(address, exchange);
  // The client would refuse the new keys with the same code, but in other words.
  const refused = await t.throwsAsync(changed, { message: /the password was changed/ });
  t.is(asTardisError(refused).code, 'LOGIN_FAILED');
});

test('a stretched password is kept from login to login, and made again for another salt', async (t) => {
  const { system, serve } = await clientOfBob(t);
  const address = await serve();
  const keptStretch: KeptStretch = {};
  const secretsAfter = async (account?: string) => {
    const ask = async (): Promise<Buffer> => Buffer.from(PASSWORD);
    const credentials = { password: undefined, account, ask, keptStretch };
    (await openRemoteHistory(system, { address, client: 'me', credentials })).close();
    return keptStretch.secrets;
  };
  const first = await secretsAfter();
  t.truthy(first);
  t.is(await secretsAfter(), first);
  t.not(await secretsAfter('bob'), first);
});

test('a password that was changed at another server counts from the next login on', async (t) => {
  const { system, place, tree, serve, exchange } = await clientOfBob(t);
  const requested: string[] = [];
  const shared: SharedClients = {
    ...NOTHING_SHARED,
    fetchNow: async () => void requested.push('fetch'),
    refresh: async () => {
      requested.push('refresh');
      await exchange();
    },
  };
  await backupInline(system, place, [tree], { password: PASSWORD, shared });
  t.deepEqual(requested.splice(0), ['fetch']);
  const opening = openAsBob(await serve({ shared }));
  const refused = await t.throwsAsync(opening, { message: /the password was changed/ });
  t.is(asTardisError(refused).code, 'LOGIN_FAILED');
  t.deepEqual(requested, ['refresh']);
});

/** Opens a session of bob at a server whose looks for accounts do something. */
async function sessionOfBob(t: ExecutionContext, rights: RightName[], atLook: () => Promise<void>) {
  const made = await clientOfBob(t, rights);
  const shared: SharedClients = { ...NOTHING_SHARED, fetchAccounts: atLook };
  const history = await openAsBob(await made.serve({ shared }));
  t.teardown(() => history.close());
  return { ...made, history };
}

async function codeAtEnd(history: Pick<History, 'sets'>): Promise<string | undefined> {
  let code: string | undefined;
  await until(async () => {
    code = await rejectedCode(history.sets());
    return code !== undefined;
  });
  return code;
}

test('a session ends when its account was taken and given again between two looks', async (t) => {
  const state = { looks: 0, atLook: async (): Promise<void> => undefined };
  const { exchange, history } = await sessionOfBob(t, ['list', 'read'], () => {
    state.looks += 1;
    return state.atLook();
  });
  const wanted = state.looks + 2;
  await until(() => state.looks >= wanted);
  t.true((await history.sets()).length > 0, 'looks alone end nothing');
  state.atLook = async () => {
    state.atLook = async () => undefined;
    await exchange();
  };
  t.is(await codeAtEnd(history), 'LOGIN_FAILED');
});

test('a session that may purge ends when that right is taken', async (t) => {
  const rights: RightName[] = ['list', 'read', 'purge'];
  const { system, directory, history } = await sessionOfBob(t, rights, async () => undefined);
  t.true((await history.sets()).length > 0);
  await putAccount(system, directory, { name: 'bob', rights: ['list', 'read'] }, undefined);
  t.is(await codeAtEnd(history), 'SESSION_GONE');
});
