// Pace: slow
import anyTest, { type TestFn } from 'ava';
import fs from 'node:fs';
import path from 'node:path';
import { createClientDirectory, removeAccount } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { rejectedCode } from '../../helpers/codes.js';
import { historyLabFor } from '../../helpers/history-lab.js';
import { giveAccount } from '../../helpers/rewrites.js';
import { openThroughWeb, startWeb, type WebServer } from '../../helpers/web-server.js';
import { giveToken } from '../../helpers/web-gateway.js';
import { ManualClock } from '../../support/manual-clock.js';

const test = anyTest as TestFn<undefined>;
const system = nodeSystem();
/** Longer than a server remembers rights. */
const RIGHTS_HOLD_MS = 2100;
/** As many wrong tokens as one address may send in a minute. */
const FAILURES = 60;
const WRONG = 'B'.repeat(43);

const lab = historyLabFor(test, true);

/** Requests a route with a token. Returns the status and the body. */
async function get(
  { app }: WebServer,
  route: string,
  token: string,
): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await app.inject({ method: 'GET', url: `/api/v1${route}`, headers });
  return { status: answer.statusCode, text: answer.body };
}

test.serial('a server of one client refuses all others', async (t) => {
  const { store } = lab.place;
  await createClientDirectory(system, { store, client: 'other', catalogFile: 'tardis.db' });
  const token = await giveToken(lab.place, 'script', ['list', 'read', 'admin']);
  fs.mkdirSync(path.join(store, '.accounts'));
  fs.writeFileSync(path.join(store, '.accounts/family'), 'Targets: me other\n');
  const [own, others, all] = [
    await startWeb(lab.home, store, { onlyClient: 'me' }),
    await startWeb(lab.home, store, { onlyClient: 'other' }),
    await startWeb(lab.home, store),
  ];
  t.teardown(async () => {
    for (const server of [own, others, all]) await server.close();
  });
  t.is((await get(own, '/clients/me/sets', token)).status, 200);
  t.is((await get(all, '/clients/me/sets', token)).status, 200);
  t.regex((await get(all, '/clients', token)).text, /"other"/);
  t.notRegex((await get(own, '/clients', token)).text, /"other"/);
  t.is((await get(others, '/clients/me/sets', token)).status, 401);
  t.is(await rejectedCode(openThroughWeb(others, 'me')), 'NO_SUCH_CLIENT');
  t.is(await rejectedCode(others.door.open('me')), 'NO_SUCH_CLIENT');
  (await openThroughWeb(own, 'me')).close();
  await removeAccount(system, path.join(store, 'me'), 'script');
  fs.rmSync(path.join(store, '.accounts'), { recursive: true });
});

/** Starts a server in which `meanwhile` runs between the challenge of a login and its proof. */
async function startWith(meanwhile: () => Promise<void>, clock = system.clock): Promise<WebServer> {
  const server = await startWeb(lab.home, lab.place.store, { system: { ...system, clock } });
  const real = server.door.logins;
  const prove = real.prove.bind(real);
  real.prove = async (...words) => {
    await meanwhile();
    return prove(...words);
  };
  return server;
}

test.serial('a password that changes between challenge and proof begins no session', async (t) => {
  const directory = path.join(lab.place.store, 'me');
  await giveAccount(lab.place, 'bob', ['list', 'read']);
  let isChanged = false;
  const server = await startWith(async () => {
    if (!isChanged) return;
    await removeAccount(system, directory, 'bob');
    await giveAccount(lab.place, 'bob', ['list', 'read']);
  });
  t.teardown(() => server.close());
  (await openThroughWeb(server, 'me', { account: 'bob' })).close();
  isChanged = true;
  t.is(await rejectedCode(openThroughWeb(server, 'me', { account: 'bob' })), 'LOGIN_FAILED');
  await removeAccount(system, directory, 'bob');
});

test.serial('the session of a removed account does not come back with its name', async (t) => {
  const directory = path.join(lab.place.store, 'me');
  await giveAccount(lab.place, 'bob', ['list', 'read']);
  const clock = new ManualClock(Date.now());
  const server = await startWith(async () => undefined, clock);
  t.teardown(() => server.close());
  const { door } = server;
  const begin = door.beginSession.bind(door);
  let token = '';
  door.beginSession = async (proven) => {
    const begun = await begin(proven);
    ({ token } = begun);
    return begun;
  };
  const history = await openThroughWeb(server, 'me', { account: 'bob' });
  t.is((await get(server, '/session', token)).status, 200);
  await removeAccount(system, directory, 'bob');
  await giveAccount(lab.place, 'bob', ['list', 'read']);
  clock.advance(RIGHTS_HOLD_MS);
  t.is((await get(server, '/session', token)).status, 401);
  history.close();
  await removeAccount(system, directory, 'bob');
});

test.serial('after too many wrong tokens no other one is looked at', async (t) => {
  const token = await giveToken(lab.place, 'script', ['list']);
  const server = await startWeb(lab.home, lab.place.store);
  const used = await startWeb(lab.home, lab.place.store);
  t.teardown(async () => {
    await server.close();
    await used.close();
  });
  t.is((await get(used, '/session', token)).status, 200);
  for (const one of [server, used]) {
    for (let n = 0; n < FAILURES; n += 1) await get(one, '/session', `me/script/${WRONG}`);
  }
  t.regex((await get(server, '/session', token)).text, /TOO_MANY_ATTEMPTS/);
  t.is((await get(used, '/session', token)).status, 200); // it was right before
  await removeAccount(system, path.join(lab.place.store, 'me'), 'script');
});
