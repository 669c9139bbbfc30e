// Pace: slow
/** The page of a server: signing in by a token, each route for each role, and what no browser may do. */
import anyTest, { type TestFn } from 'ava';
import fs from 'node:fs';
import path from 'node:path';
import type { RightName } from '../../../src/model/index.js';
import { removeAccount } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { historyLabFor } from '../../helpers/history-lab.js';
import { NO_BROWSER, openBrowser, watchedPage } from '../../helpers/browser.js';
import { leaveOut } from '../../helpers/left-out.js';
import { startWeb, type WebServer } from '../../helpers/web-server.js';
import { giveToken } from '../../helpers/web-gateway.js';
import { ManualClock } from '../../support/manual-clock.js';

const test = anyTest as TestFn<undefined>;
const system = nodeSystem();
/** Longer than a server holds an overview. */
const HOLD_MS = 2100;
const PAGE = { 'x-tardis-page': '1' };
const FOREIGN: readonly Readonly<Record<string, string>>[] = [
  { ...PAGE, origin: 'https://evil.example' },
  { ...PAGE, 'sec-fetch-site': 'cross-site' },
  { ...PAGE, 'sec-fetch-site': 'same-site' },
];
/** Rights of an account, and whether it may list, read and see the figures of the server. */
const ROLES: readonly (readonly RightName[])[] = [
  ['list', 'read', 'admin'],
  ['list', 'read'],
  ['list'],
  ['admin'],
];

let server: WebServer;

const sealed = historyLabFor(test, true);
const lab = historyLabFor(test, false, async ({ home, place }) => {
  server = await startWeb(home, place.store);
  return () => server.close();
});

test.serial(
  'unchanged clients are shown without opening their catalogs, changed ones as they are',
  async (t) => {
    const { store } = sealed.place;
    let opened = 0;
    const clock = new ManualClock(Date.now());
    const counted = {
      ...system,
      clock,
      openDatabase: (...words: Parameters<typeof system.openDatabase>) => {
        opened += 1;
        return system.openDatabase(...words);
      },
    };
    const one = await startWeb(sealed.home, store, { system: counted });
    t.teardown(() => one.close());
    const visitor = { client: 'me', account: '', rights: new Set<RightName>(['list']) };
    const shown = async (time: number) => {
      for (const name of ['tardis.db', 'keys'])
        fs.utimesSync(path.join(store, 'me', name), time, time);
      opened = 0;
      clock.advance(HOLD_MS); // answers are held for a moment
      const [own] = await one.door.clients(visitor);
      return { sets: own?.completeSets, opened };
    };
    const first = await shown(1000);
    t.true(first.opened > 0 && first.sets! > 0);
    t.deepEqual(await shown(1000), { ...first, opened: 0 });
    t.true((await shown(2000)).opened > 0);
    t.deepEqual(await shown(2000), { ...first, opened: 0 });
    const last = (clock.nowMs() + 2 * HOLD_MS) / 1000; // the time of the second look at it
    t.true((await shown(last)).opened > 0);
    t.true((await shown(last)).opened > 0); // it could change again within the same moment
  },
);

interface Sent {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly secret?: string;
}

/** Sends a request; returns the status, the code of an error, and the cookie that is set. */
async function send({ app }: WebServer, { method = 'GET', url, headers = {}, secret }: Sent) {
  const payload = secret === undefined ? {} : { payload: { secret } };
  const {
    statusCode,
    body,
    headers: given,
  } = await app.inject({ method, url, headers, ...payload });
  const { code } = (body.startsWith('{') ? JSON.parse(body) : {}) as { code?: string };
  const set = given['set-cookie'];
  return { status: statusCode, code, cookie: typeof set === 'string' ? set : undefined };
}

const AT = '/api/v1/sign-in';

/** Signs in; returns the header with the cookie. */
async function signIn(one: WebServer, token: string): Promise<{ cookie: string }> {
  const { cookie = '' } = await send(one, {
    method: 'POST',
    url: AT,
    headers: PAGE,
    secret: token,
  });
  return { cookie: cookie.split(';')[0]! };
}

test.serial('a token begins the session of a browser, which ends with it', async (t) => {
  const token = await giveToken(lab.place, 'eve', ['list']);
  const own = token.split('/')[2]!;
  const wrong = [`me/eve/${'B'.repeat(43)}`, 'password', `other/eve/${own}`, 'me//x'];
  for (const secret of wrong) {
    const { status, cookie } = await send(server, {
      method: 'POST',
      url: AT,
      headers: PAGE,
      secret,
    });
    t.is(status, 401, secret);
    t.is(cookie, undefined);
  }
  for (const headers of [{}, ...FOREIGN]) {
    const refused = await send(server, { method: 'POST', url: AT, headers, secret: token });
    t.is(refused.status, 403, JSON.stringify(headers));
    t.is(refused.cookie, undefined);
  }
  const begun = await send(server, {
    method: 'POST',
    url: AT,
    headers: PAGE,
    secret: ` ${token}\n`,
  });
  t.regex(begun.cookie!, /^__Host-tardis=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
  t.false(begun.cookie!.includes(own));
  const headers = { cookie: begun.cookie!.split(';')[0]! };
  const at = '/api/v1/session';
  t.is((await send(server, { url: at, headers })).status, 200);
  const other = await signIn(server, token);
  await send(server, { method: 'DELETE', url: AT, headers: { ...PAGE, ...headers } });
  t.is((await send(server, { url: at, headers })).status, 401);
  t.is((await send(server, { url: at, headers: other })).status, 200);
  await removeAccount(system, path.join(lab.place.store, 'me'), 'eve');
  t.is((await send(server, { url: at, headers: other })).status, 401);
});

test.serial(
  'each route answers a browser as it answers its token, and no other site',
  async (t) => {
    const { app } = server;
    const { paths } = (await app.inject('/api/v1/openapi.json')).json<{
      paths: Record<string, Record<string, { security: object[] }>>;
    }>();
    const routes = Object.entries(paths).flatMap(([route, operations]) =>
      Object.entries(operations).map(([method, { security }]) => ({
        url: `/api/v1${route.replace('{client}', 'me').replace('{set}', 'latest')}`,
        method: method.toUpperCase() as 'GET',
        isOpen: security.length === 0,
      })),
    );
    t.true(routes.length >= 20);
    for (const [index, rights] of ROLES.entries()) {
      const token = await giveToken(lab.place, `role${index}`, rights);
      const bearer = { ...PAGE, authorization: `Bearer ${token}` };
      const browser = { ...PAGE, ...(await signIn(server, token)) };
      for (const { url, method, isOpen } of routes) {
        if (method !== 'GET' && url.endsWith('/sign-in')) continue; // it would end the session
        const what = `${rights.join('+')}: ${method} ${url}`;
        const [one, other] = [
          await send(server, { method, url, headers: bearer }),
          await send(server, { method, url, headers: browser }),
        ];
        t.deepEqual(other, one, what);
        for (const foreign of FOREIGN) {
          const { status } = await send(server, {
            method,
            url,
            headers: { ...browser, ...foreign },
          });
          t.is(status, 403, what);
        }
        if (!['GET', 'HEAD'].includes(method)) {
          const { cookie } = browser;
          t.is((await send(server, { method, url, headers: { cookie } })).status, 403, what);
        }
        if (!isOpen) {
          const headers = { ...PAGE, cookie: '__Host-tardis=guess' };
          t.is((await send(server, { method, url, headers })).status, 401, what);
        }
      }
      await removeAccount(system, path.join(lab.place.store, 'me'), `role${index}`);
    }
  },
);

test.serial(
  'the page shows all clients first, then files; of one that encrypts, no name',
  async (t) => {
    const browser = await openBrowser();
    if (browser === undefined) return leaveOut(t, NO_BROWSER);
    const other = await startWeb(sealed.home, sealed.place.store);
    try {
      for (const [one, from] of [
        [server, lab],
        [other, sealed],
      ] as const) {
        const token = await giveToken(from.place, 'web', ['list', 'read']);
        const { page, faults } = await watchedPage(browser, `localhost:${one.port}`);
        await page.goto(`https://localhost:${one.port}/`);
        await page.getByLabel('Token').fill(token);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByRole('rowheader', { name: 'me' }).waitFor();
        t.is(await page.getByRole('button', { name: 'Back up now' }).count(), 0);
        await page.getByRole('button', { name: 'Files', exact: true }).click();
        if (from === lab) {
          await page.getByRole('grid').waitFor();
          await page.getByLabel('Show deleted').check();
        } else {
          await page.getByText('tardis-web --server localhost -C me').waitFor();
          t.is(await page.getByRole('grid').count(), 0);
        }
        await page.reload();
        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.getByLabel('Token').waitFor();
        t.deepEqual(
          faults.filter((fault) => !/ 401 /.test(fault)),
          [],
        );
        await page.context().close();
      }
    } finally {
      await browser.close();
      await other.close();
    }
  },
);
