// Pace: slow
/** Changes by an administrator from the page of a tardisd: who may make them, for which clients, and their results. */
import test from 'ava';
import fs from 'node:fs';
import path from 'node:path';
import { type RightName, RIGHTS } from '../../../src/model/index.js';
import {
  changeQuota,
  createClientDirectory,
  parseJoinCode,
  takeJoinCode,
} from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { commandsAreProcesses, succeed } from '../../helpers/commands.js';
import { NO_BROWSER, openBrowser, watchedPage } from '../../helpers/browser.js';
import { certificateIn } from '../../helpers/certificates.js';
import { type HistoryLab, makeHistoryLab, removeHistoryLab } from '../../helpers/history-lab.js';
import { leaveOut } from '../../helpers/left-out.js';
import { startWeb, type WebServer } from '../../helpers/web-server.js';
import { giveToken } from '../../helpers/web-gateway.js';

commandsAreProcesses(); // a change within this process would wait for its readers

const system = nodeSystem();
const PORT = 7420;

let lab: HistoryLab;
let store: string;
let server: WebServer;

test.before(async () => {
  lab = await makeHistoryLab(false);
  ({ store } = lab.place);
  const certificate = await certificateIn(lab.home, 'own');
  const changeSetting = async (client: string, key: string, value: string | undefined) => {
    const words = value === undefined ? ['--remove', key] : [key, value];
    await succeed('sonic', ['setconfig', '-D', store, '-C', client, ...words]);
  };
  server = await startWeb(lab.home, store, {
    ownServer: {
      port: PORT,
      certificate,
      changeSetting,
      changeQuota: (client, quotaBytes) => changeQuota(system, store, client, quotaBytes),
    },
  });
  for (const client of ['desk', 'stranger']) await createClientDirectory(system, { store, client });
  fs.mkdirSync(path.join(store, '.accounts'));
});
test.after.always(async () => {
  await server.close();
  await removeHistoryLab(lab);
});
test.beforeEach(() => {
  fs.writeFileSync(accountFile(), '# ours\nSpaceQuota: 1G\nTargets:  me desk\nSpaceUsed: 0\n');
});

const accountFile = (): string => path.join(store, '.accounts', 'office');

const tokenOf = (rights: readonly RightName[]): Promise<string> =>
  giveToken(lab.place, rights.join('-'), rights);

/** Sends a change with a token; returns the code of the error, or the answer. */
async function change(token: string, url: string, payload: object, one = server) {
  const headers = { authorization: `Bearer ${token}` };
  const { statusCode, body } = await one.app.inject({
    method: 'POST',
    url: `/api/v1${url}`,
    headers,
    payload,
  });
  const answer = JSON.parse(body) as Record<string, unknown>;
  return { status: statusCode, code: answer['code'], answer };
}

const JOIN = '/join-codes';
const REQUEST = '/backup-requests';
const ADMIN: readonly RightName[] = ['add', 'list', 'admin'];

const QUOTA = '/clients/me/quota';
/** The routes of an administrator: the right that each needs beside `admin`, and a request. */
const ROUTES: readonly (readonly [
  url: string,
  right: RightName,
  body: (role: string) => object,
])[] = [
  [JOIN, 'add', (role) => ({ client: `new-${role}`, server: 'backup.example' })],
  [REQUEST, 'add', () => ({ client: 'desk' })],
  ['/clients/me/rules', 'purge', () => ({ KeepDaily: '7' })],
  [QUOTA, 'quota', () => ({ quotaBytes: 5e9 })],
];
/** Every combination of rights. */
const ROLES = Array.from({ length: 1 << RIGHTS.length }, (_, bits) =>
  RIGHTS.filter((_right, bit) => ((bits >> bit) & 1) === 1),
).filter((rights) => rights.length > 0);

test.serial(
  'each route of an administrator takes only its roles, and only at a tardisd',
  async (t) => {
    const changed: string[] = [];
    const one = await startWeb(lab.home, store, {
      ownServer: {
        port: PORT,
        certificate: await certificateIn(lab.home, 'sweep'),
        changeSetting: async () => void changed.push('rules'),
        changeQuota: async () => {
          changed.push('quota');
          return { account: 'office', targets: ['me', 'desk'], beforeBytes: 0 };
        },
      },
    });
    t.teardown(() => one.close());
    for (const rights of ROLES) {
      const token = await tokenOf(rights);
      for (const [url, right, bodyOf] of ROUTES) {
        changed.length = 0;
        const { status } = await change(token, url, bodyOf(rights.join('-')), one);
        const isAllowed = rights.includes('admin') && rights.includes(right);
        const what = `${rights.join('+')} ${url}`;
        t.is(status, isAllowed ? 200 : 403, what);
        if (!isAllowed) t.deepEqual(changed, [], what);
      }
    }
    const reader = await startWeb(lab.home, store);
    t.teardown(() => reader.close());
    const token = await tokenOf(RIGHTS);
    for (const [url, , bodyOf] of ROUTES) {
      const { status, answer } = await change(token, url, bodyOf('late'), reader);
      t.is(status, 403);
      t.regex(String(answer['detail']), /only reads/);
      t.is((await change(`me/none/${token.split('/')[2]}`, url, bodyOf('none'))).status, 401);
    }
    t.is((await change(token, '/clients/stranger/quota', { quotaBytes: 1 }, one)).status, 403);
  },
);

test.serial(
  'the quota of the account is changed in its file, and shown with what is used',
  async (t) => {
    const token = await tokenOf(['list', 'admin', 'quota']);
    const { answer } = await change(token, QUOTA, { quotaBytes: 3 * 1024 ** 3 });
    t.deepEqual(answer, { account: 'office', targets: ['me', 'desk'], beforeBytes: 1024 ** 3 });
    const text = 'SpaceQuota: 3G\n# ours\nTargets:  me desk\nSpaceUsed: 0\n';
    t.is(fs.readFileSync(accountFile(), 'utf8'), text);
    for (const body of [{ quotaBytes: -1 }, { quotaBytes: 1.5 }, { quotaBytes: 'x' }, {}]) {
      t.is((await change(token, QUOTA, body)).status, 400, JSON.stringify(body));
    }
    const fresh = await startWeb(lab.home, store); // it has no answer from before
    t.teardown(() => fresh.close());
    const headers = { authorization: `Bearer ${token}` };
    const shown = (await fresh.app.inject({ url: '/api/v1/clients', headers })).json<
      { name: string; space: { usedBytes: number; accountBytes: number; quotaBytes: number } }[]
    >();
    const own = shown.find(({ name }) => name === 'me')!.space;
    const sum = shown.reduce((bytes, { space }) => bytes + space.usedBytes, 0);
    t.true(own.usedBytes > 0);
    t.like(own, { accountBytes: sum, quotaBytes: 3 * 1024 ** 3 });
    const words = ['account', '-D', store, '-C', 'desk', '--quota', '0'];
    t.regex(
      await succeed('sonic', words),
      /"office" \(me, desk\) has no quota from now on; it had 3/,
    );
    t.notRegex(fs.readFileSync(accountFile(), 'utf8'), /SpaceQuota/);
    fs.rmSync(accountFile());
    t.is((await change(token, QUOTA, { quotaBytes: 1 })).code, 'ACCOUNT_FILE_MISSING');
  },
);

test.serial(
  'a code adds its client to the account of the administrator, and takes no other',
  async (t) => {
    const token = await tokenOf(ADMIN);
    const { answer } = await change(token, JOIN, { client: 'laptop', server: 'backup.example' });
    const code = parseJoinCode(answer['code'] as string)!;
    t.is(code.server, `backup.example:${PORT}`);
    t.notThrows(() => takeJoinCode(system, store, code));
    const text = '# ours\nSpaceQuota: 1G\nTargets:  me desk laptop\nSpaceUsed: 0\n';
    t.is(fs.readFileSync(accountFile(), 'utf8'), text);
    const again = { client: 'laptop', server: '[::1]:99' };
    const second = await change(token, JOIN, again);
    t.is(parseJoinCode(second.answer['code'] as string)!.server, '[::1]:99');
    const both = ['phone', 'shed'].map((client) => change(token, JOIN, { client, server: 'x' }));
    for (const { status } of await Promise.all(both)) t.is(status, 200);
    t.regex(fs.readFileSync(accountFile(), 'utf8'), /^Targets: {2}me desk laptop phone shed$/m);
    fs.writeFileSync(path.join(store, '.accounts', 'others'), 'Targets: theirs\n');
    for (const [client, expected] of [
      ['desk', 'CLIENT_EXISTS'],
      ['stranger', 'CLIENT_EXISTS'], // it would else come into view
      ['theirs', 'CLIENT_EXISTS'],
      ['../me', 'CLIENT_NAME_INVALID'],
      ['a\nSpaceQuota: 9T', 'CLIENT_NAME_INVALID'],
    ] as const) {
      t.is((await change(token, JOIN, { client, server: 'x' })).code, expected, client);
    }
    for (const server of ['a b', 'https://a', '/socket', '::1', 'fe80::1:99', 'x:99999', 'x:0']) {
      const { code } = await change(token, JOIN, { client: 'next', server });
      t.is(code, 'REQUEST_INVALID', server);
    }
    t.notRegex(fs.readFileSync(accountFile(), 'utf8'), /next/);
    fs.rmSync(path.join(store, '.accounts', 'others'));
    fs.rmSync(accountFile());
    const { code: lone } = await change(token, JOIN, { client: 'alone', server: 'x' });
    t.is(lone, 'ACCOUNT_FILE_MISSING', 'without an account there is no quota either');
  },
);

test.serial('a request is shown with its client, and reaches no client of others', async (t) => {
  const token = await tokenOf(ADMIN);
  for (const client of ['stranger', 'nobody', '..', '.accounts']) {
    t.is((await change(token, REQUEST, { client })).code, 'NOT_PERMITTED', client);
  }
  t.is((await change(token, REQUEST, { client: 'desk' })).status, 200);
  t.is(fs.readFileSync(path.join(store, '.requests', 'desk'), 'utf8'), 'me/add-list-admin\n');
  t.deepEqual(fs.readdirSync(path.join(store, '.requests')), ['desk']);
  const withdrawn = { client: 'desk', isWithdrawn: true };
  const reader = await tokenOf(['list', 'admin']);
  t.is((await change(reader, REQUEST, withdrawn)).code, 'NOT_PERMITTED');
  t.is((await change(token, REQUEST, { ...withdrawn, client: '..' })).code, 'NOT_PERMITTED');
  t.deepEqual(fs.readdirSync(path.join(store, '.requests')), ['desk']);
  t.is((await change(token, REQUEST, withdrawn)).status, 200);
  t.deepEqual(fs.readdirSync(path.join(store, '.requests')), []);
});

const RULES = '/clients/me/rules';
/** Rules with which each later purge would fail. */
const UNEQUAL = { KeepPeriods: '0,30', Priorities: '5' };
const COUNTS = { KeepHourly: '0', KeepDaily: '7', KeepMonthly: '12', KeepYearly: '' };

/** Returns the settings that are stored with the client. */
async function stored(): Promise<Record<string, string>> {
  const shown = await succeed('sonic', ['getconfig', '-D', store, '-C', 'me', '--json']);
  return (JSON.parse(shown) as { settings: Record<string, string> }).settings;
}

test.serial(
  'rules of the own client are stored by admin and purge, also beside readers',
  async (t) => {
    const token = await tokenOf(['list', 'admin', 'purge']);
    const { app } = server;
    const headers = { authorization: `Bearer ${token}` };
    t.is((await app.inject({ url: '/api/v1/clients/me/sets', headers })).statusCode, 200); // stays open
    t.is((await change(token, RULES, COUNTS)).status, 200);
    t.deepEqual(await stored(), { KeepDaily: '7', KeepMonthly: '12' });
    t.is((await change(token, RULES, { ...COUNTS, KeepDaily: '', KeepYearly: '3' })).status, 200);
    t.deepEqual(await stored(), { KeepMonthly: '12', KeepYearly: '3' });
    const none = { ...COUNTS, KeepDaily: '0', KeepMonthly: '' };
    for (const body of [
      none,
      { ...COUNTS, KeepDaily: '-1' },
      { ...COUNTS, Other: '1' },
      {},
      UNEQUAL,
    ]) {
      t.is((await change(token, RULES, body)).status, 400, JSON.stringify(body));
    }
    for (const rights of [ADMIN, ['list', 'purge', 'add']] as const) {
      t.is((await change(await tokenOf(rights), RULES, COUNTS)).status, 403, rights.join());
    }
    t.is((await change(token, '/clients/desk/rules', COUNTS)).status, 403, 'another client');
    t.deepEqual(await stored(), { KeepMonthly: '12', KeepYearly: '3' });
  },
);

test.serial(
  'the page requests a backup, makes a code, keeps rules and changes the quota; without the rights it has no buttons',
  async (t) => {
    fs.rmSync(path.join(store, '.requests'), { recursive: true, force: true });
    const browser = await openBrowser();
    if (browser === undefined) return leaveOut(t, NO_BROWSER);
    t.teardown(() => browser.close());
    const open = async (rights: readonly RightName[]) => {
      const { page, faults } = await watchedPage(browser, `localhost:${server.port}`);
      await page.goto(`https://localhost:${server.port}/`);
      await page.getByLabel('Token').fill(await tokenOf(rights));
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('rowheader', { name: 'me' }).waitFor();
      return { page, faults };
    };
    const { page, faults } = await open(ADMIN);
    await page.getByRole('button', { name: 'Back up now: desk' }).click();
    await page.getByText(/A backup was requested .*\(by me\/add-list-admin\)/).waitFor();
    t.is(await page.getByRole('button', { name: 'Back up now: desk' }).count(), 0);
    await page.getByRole('button', { name: 'Withdraw the request: desk' }).click();
    await page.getByRole('button', { name: 'Back up now: desk' }).waitFor();
    await page.getByLabel('Name of the new machine').fill('tablet');
    await page.getByRole('button', { name: 'Make a code' }).click();
    const shown = (await page.locator('code', { hasText: 'join:' }).textContent())!;
    t.like(parseJoinCode(shown), { client: 'tablet', server: `localhost:${PORT}` });
    t.deepEqual(
      faults.filter((fault) => !/ 401 /.test(fault)),
      [],
    );
    const { page: keeping } = await open(['list', 'admin', 'purge']);
    await keeping.getByRole('button', { name: 'Keep by these rules' }).click();
    await keeping.getByText(/It would delete \d+ backups? now/).waitFor();
    const fetched = keeping.waitForResponse((reply) => reply.url().endsWith('/clients/me/purge'));
    await keeping.getByRole('dialog').getByRole('button', { name: 'Keep by these rules' }).click();
    await keeping.getByRole('dialog').waitFor({ state: 'detached' });
    await keeping.getByRole('status').getByText('The rules are stored').waitFor();
    await fetched;
    t.like(await stored(), { KeepMonthly: '12', KeepYearly: '3' });
    const { page: limiting, faults: wrong } = await open(['list', 'admin', 'quota']);
    await limiting.getByText('of 1.1 GB are used by all clients').waitFor();
    await limiting.getByRole('row', { name: /^desk .*of 1\.1 GB for all/ }).waitFor();
    await limiting.getByRole('button', { name: 'Change the quota' }).click();
    const dialog = limiting.getByRole('dialog');
    await dialog.getByLabel('Gigabytes').fill('0.000001');
    await dialog.getByText('More than that is used already').waitFor();
    await dialog.getByLabel('Gigabytes').fill('200');
    await dialog.getByRole('button', { name: 'Change the quota' }).click();
    await limiting
      .getByRole('status')
      .getByText('The quota of the account is 200 GB now')
      .waitFor();
    await limiting.getByText('of 200 GB are used by all clients').waitFor();
    await limiting.getByText('The certificate of this page is valid until').waitFor();
    t.regex(fs.readFileSync(accountFile(), 'utf8'), /^SpaceQuota: 200000000000$/m);
    t.deepEqual(
      wrong.filter((fault) => !/ 401 /.test(fault)),
      [],
    );
    const { page: other } = await open(['list', 'admin']);
    t.is(await other.getByRole('button', { name: 'Change the quota' }).count(), 0);
    t.is(await other.getByRole('button', { name: /^Back up now/ }).count(), 0);
    t.is(await other.getByLabel('Name of the new machine').count(), 0);
    t.is(await other.getByRole('button', { name: 'Keep by these rules' }).count(), 0);
  },
);
