// Pace: long
/** One light: every reader shows the same state of a client. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NO_BROWSER, openBrowser, watchedPage } from '../helpers/browser.js';
import {
  backup,
  backupsRunHere,
  poolsStayAway,
  run,
  Running,
  succeed,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';
import { WebDoor } from '../helpers/web-door.js';
import { until } from '../helpers/until.js';
import { spoilContent } from '../helpers/rot.js';

backupsRunHere();
poolsStayAway();

/** The state that each client of the store is brought into; its name is that of the client. */
const STATES: Readonly<Record<string, string>> = {
  good: 'good',
  unread: 'warned',
  damaged: 'warned',
  late: 'late',
  cut: 'failed',
  empty: 'never',
  busy: 'running',
  broken: 'unknown',
};
const CLIENTS = Object.keys(STATES);

/** The words of the page for each state. */
const WORDS: Readonly<Record<string, string>> = {
  never: 'never backed up',
  unknown: 'cannot be read',
};

type Shown = Readonly<Record<string, string | undefined>>;

/** Returns the words that the overview shows of each client in a browser; undefined without one. */
async function seen(
  t: ExecutionContext,
  door: WebDoor,
  cookie: string,
): Promise<Shown | undefined> {
  const browser = await openBrowser();
  if (browser === undefined) {
    t.log(NO_BROWSER);
    return undefined;
  }
  try {
    const { page, faults } = await watchedPage(browser, door.host);
    const [name = '', value = ''] = cookie.split('=');
    await page.context().addCookies([{ name, value, url: door.address }]);
    await page.goto(`${door.address}#/overview`);
    const shown: Record<string, string> = {};
    for (const client of CLIENTS) {
      const header = page.getByRole('rowheader', { name: client, exact: true });
      const marks = page.getByRole('row').filter({ has: header }).locator('.mark');
      shown[client] = (await marks.first().textContent()) ?? '';
    }
    t.deepEqual(faults, []);
    return shown;
  } finally {
    await browser.close();
  }
}

test('each state is shown equal by every reader', async (t) => {
  const { at, store, source, written } = lab(t);
  fs.writeFileSync(path.join(source, 'letter.txt'), noise(1, 5000));
  const place = (client: string): string[] => ['-D', store, '-C', client];
  const local = (client: string): string[] => [...place(client), '--local'];
  for (const client of CLIENTS.filter((name) => name !== 'empty')) {
    await backup([...local(client), '--create', source]);
  }
  await succeed('sonic', ['create', ...place('empty')]);
  fs.symlinkSync(at('loop'), at('loop'));
  t.is((await run('tardis', [...local('unread'), source, at('loop')])).status, 3);
  spoilContent(path.join(store, 'damaged', 'packs'), noise(1, 5000));
  fs.rmSync(path.join(store, 'damaged', 'parity'), { recursive: true, force: true });
  await run('sonic', ['check', ...place('damaged'), '--read-data']);
  const slow = (client: string): Running =>
    new Running('tardis', [...local(client), '--source', 'slow=sleep 600', source]);
  const [cut, busy] = [slow('cut'), slow('busy')];
  t.teardown(() => busy.signalGroup('SIGKILL'));
  const byStatus = async (...words: string[]): Promise<string> => {
    const { stdout, stderr } = await run('sonic', ['status', '--json', ...words]);
    return stdout === '' ? stderr : (JSON.parse(stdout) as { state: string }).state;
  };
  for (const client of ['cut', 'busy']) {
    await until(async () => (await byStatus(...place(client))) === 'running');
  }
  cut.signalGroup('SIGKILL');
  await cut.ended;
  fs.writeFileSync(path.join(store, 'broken', 'tardis.db'), noise(2, 100_000));

  const metrics = at('store.prom');
  // Garbage collection, as after each session, would hold locks, and unfinished sets would count as running.
  const text = `[Tardis]\nOverdueFor = late=1\nWatchInterval = 1\nGcInterval = 0\nMetricsFile = ${metrics}\n`;
  const socket = at('socket');
  const config = ['--config', written('cfg', text)];
  const server = new Running('tardisd', ['-D', store, '--local', socket, ...config]);
  t.teardown(() => server.signalGroup('SIGKILL'));
  const readStates = (from: string, program: string): Shown =>
    Object.fromEntries(
      [
        ...from.matchAll(
          new RegExp(`^${program}_client_state\\{client="(\\w+)",state="(\\w+)"\\} 1$`, 'gm'),
        ),
      ].map(([, client, state]) => [client!, state!]),
    );
  const byServer = (): Shown =>
    readStates(fs.existsSync(metrics) ? fs.readFileSync(metrics, 'utf8') : '', 'tardis');
  await server.until('the late client', () => byServer()['late'] === 'late');

  const each = async (of: (client: string) => Promise<string>): Promise<Shown> => {
    const shown: Record<string, string> = {};
    for (const client of CLIENTS) shown[client] = await of(client);
    return shown;
  };
  type Row = { readonly client?: string; readonly name?: string; readonly state: string };
  const byRows = (rows: readonly Row[]): Shown =>
    Object.fromEntries(rows.map(({ client, name = client, state }) => [name!, state]));
  const door = await WebDoor.start(store, ['-C', 'good']);
  const cookie = await door.enter();
  const listed = await run('sonic', ['clients', '-D', store, '--json']);
  fs.mkdirSync(path.join(store, '.accounts'));
  fs.writeFileSync(path.join(store, '.accounts', 'owner'), `Targets: ${CLIENTS.join(' ')}\n`);
  const account = ['account', ...place('good'), '--json', '--add', 'ops', '--token'];
  const made = await succeed('sonic', [...account, '--rights', 'list,read,admin']);
  const { token } = JSON.parse(made) as { token: string };
  const remote = new Running('tardisremote', [
    '-D',
    store,
    '--json',
    '--port',
    '0',
    '--insecure-tcp',
  ]);
  t.teardown(() => remote.signalGroup('SIGKILL'));
  await remote.until('its line', () => remote.stdout.includes('\n'));
  const { ready } = JSON.parse(remote.stdout) as { ready: string };
  const fromRemote = async (what: string): Promise<string> =>
    (
      await fetch(`${ready}api/v1/${what}`, { headers: { authorization: `Bearer ${token}` } })
    ).text();
  const readers: Readonly<Record<string, Shown>> = {
    'sonic status': await each((client) => byStatus(...place(client))),
    'sonic status --server': await each((client) => byStatus('--server', socket, '-C', client)),
    'sonic clients': byRows((JSON.parse(listed.stdout) as { clients: Row[] }).clients),
    'the page': byRows(
      JSON.parse((await door.request('/api/v1/clients', { cookie })).body) as Row[],
    ),
    'the API': byRows(JSON.parse(await fromRemote('clients')) as Row[]),
    'metrics of tardisd': byServer(),
    'metrics of tardisremote': readStates(await fromRemote('metrics'), 'tardisremote'),
  };
  const words = await seen(t, door, cookie);
  await door.close();
  if (words !== undefined) {
    const wanted = CLIENTS.map((client) => WORDS[STATES[client]!] ?? STATES[client]);
    t.deepEqual(Object.values(words), wanted, 'the overview');
  }
  for (const [reader, shown] of Object.entries(readers)) t.deepEqual(shown, STATES, reader);
});
