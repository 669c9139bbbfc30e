// Pace: slow
/** `sonic clients`: the clients of a store and their state. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { openClientDirectory, readRuns } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { until } from '../helpers/until.js';

backupsRunHere();

const WORD = '--password=of a test';

interface Shown {
  readonly client: string;
  readonly completeSets: number;
  readonly newestSet: number;
  readonly newestAtMs: number;
  readonly protection: string;
  readonly state: string;
  readonly fault: string;
}

async function shownBy(args: readonly string[]): Promise<Shown[]> {
  const { status, stdout } = await run('sonic', ['clients', '--json', ...args]);
  const shown = (JSON.parse(stdout) as { clients: Shown[] }).clients;
  if (status !== (shown.some(({ fault }) => fault !== '') ? 3 : 0)) throw new Error(`${status}`);
  return shown;
}

test('sonic clients shows newest sets, protection and damage of the clients of a store', async (t) => {
  const { store, source } = lab(t);
  const place = (client: string): string[] => ['-D', store, '-C', client];
  await backup([...place('plain'), '--local', '--create', source]);
  await backup([...place('plain'), '--local', source]);
  await backup([...place('secret'), '--local', '--create', WORD, source]);
  await succeed('sonic', ['create', ...place('locked'), '--nocrypt', WORD]);
  await succeed('sonic', ['create', ...place('broken')]);
  fs.writeFileSync(path.join(store, 'broken', 'tardis.db'), 'no catalog');

  const shown = await shownBy(['-D', store]);
  t.deepEqual(
    shown.map(({ client, completeSets, newestSet, protection }) => [
      client,
      completeSets,
      newestSet,
      protection,
    ]),
    [
      ['broken', 0, 0, 'none'],
      ['locked', 0, 0, 'password'],
      ['plain', 2, 2, 'none'],
      ['secret', 1, 1, 'encrypted'],
    ],
  );
  t.regex(shown[0]!.fault, /^CATALOG_/);
  t.true(shown.every(({ state }) => ['good', 'never', 'unknown'].includes(state)));
  t.true(Math.abs(shown[2]!.newestAtMs - Date.now()) < 3_600_000);
  const { status, stdout: text } = await run('sonic', ['clients', '-D', store]);
  t.is(status, 3, 'one cannot be read');
  t.regex(text, /^client +sets +newest set +of +protection +state$/m);
  t.regex(text, /^broken .*cannot be read: CATALOG_/m);
  t.regex(text, /^secret +1 +1 +\d{4}-\d\d-\d\d .* encrypted +good$/m);
  const { stdout: late } = await run('sonic', ['clients', '-D', store, '--overdue-after', '0.001']);
  t.regex(late, /^locked .*never: /m);
  t.regex(late, /^plain .*late: The newest backup is /m);

  fs.writeFileSync(path.join(store, '.accounts'), 'no directory');
  const { status: good } = await run('sonic', ['status', ...place('plain')]);
  t.is(good, 0, 'accounts that cannot be read hide nothing but the quota');
  fs.rmSync(path.join(store, '.accounts'));

  exited(t, 10, await run('sonic', ['clients', '-D', path.join(store, 'none')]));
  t.regex((await run('lstardis', place('forgotten'))).stderr, /`sonic clients` lists the clients/);
});

test('sonic clients warns of clients that were exchanged, put back or made to encrypt no more', async (t) => {
  const { at, store, source } = lab(t);
  const env = { XDG_STATE_HOME: at('state') };
  const other = { XDG_STATE_HOME: at('state of another machine') };
  const place = (client: string): string[] => ['-D', store, '-C', client];
  const make = (client: string, more: readonly string[] = [WORD]): Promise<string> =>
    succeed('tardis', [...place(client), '--local', '--create', ...more, source], { env });
  for (const client of ['exchanged', 'beside', 'put-back', 'fine', 'in-clear']) await make(client);
  await make('plain', []);
  const list = ['clients', '-D', store];
  t.is(exited(t, 0, await run('sonic', list, { env })).stderr, '');

  const directory = (client: string): string => path.join(store, client);
  fs.cpSync(directory('put-back'), at('kept'), { recursive: true });
  fs.writeFileSync(path.join(source, 'more'), 'more');
  await succeed('tardis', [...place('put-back'), '--local', WORD, source], { env });
  fs.rmSync(directory('put-back'), { recursive: true });
  fs.renameSync(at('kept'), directory('put-back'));
  fs.renameSync(directory('exchanged'), at('aside'));
  fs.renameSync(directory('beside'), directory('exchanged'));
  fs.renameSync(at('aside'), directory('beside'));
  fs.rmSync(directory('in-clear'), { recursive: true });
  await succeed('tardis', [...place('in-clear'), '--local', '--create', source], { env: other });

  const { stdout, stderr } = exited(t, 3, await run('sonic', list, { env }));
  t.regex(stdout, /^fine /m);
  const warned = (client: string): string[] =>
    stderr.split('\n').filter((line) => line.startsWith(`warning: the client "${client}"`));
  t.regex(warned('exchanged').join('\n'), /has other keys \(key id .*\[KEYS_CHANGED\]$/);
  t.regex(warned('beside').join('\n'), /has other keys \(key id .*\[KEYS_CHANGED\]$/);
  t.regex(warned('put-back').join('\n'), /was 2 when this .*\[STORE_ROLLED_BACK\]$/);
  t.regex(warned('in-clear').join('\n'), /does not encrypt, and had .*\[ENCRYPTION_GONE\]$/);
  t.deepEqual([...warned('fine'), ...warned('plain')], []);
  t.is(stderr.trim().split('\n').length, 4, stderr);
  // A machine that has never used these clients has nothing to compare them with.
  t.is((await run('sonic', list, { env: { XDG_STATE_HOME: at('new') } })).stderr, '');
});

test('an account with the right admin sees the clients of its owner through a server, and which are late', async (t) => {
  const { store, source, written } = lab(t);
  for (const client of ['mine', 'also-mine', 'foreign']) {
    await backup(['-D', store, '-C', client, '--local', '--create', WORD, source]);
  }
  const word = '--newpassword=of an account';
  const rights = ['--rights', 'list,admin'];
  const ops = ['account', '-D', store, '-C', 'mine', WORD, '--add', 'ops'];
  await succeed('sonic', [...ops, ...rights, word]);
  const config = written('cfg', '[Tardis]\nOverdueAfter = 1\nWatchInterval = 1\n');
  const server = await Server.during(t, store, ['--config', config]);
  const to = [...server.clientArgs, '-C', 'mine'];
  const asOps = [...to, '--account', 'ops', '--password=of an account'];
  t.deepEqual(
    (await shownBy(asOps)).map(({ client }) => client),
    ['mine'],
  );
  const refused = await run('sonic', ['clients', ...to, WORD]);
  t.regex(refused.stderr, /\[NOT_PERMITTED\]/);

  fs.mkdirSync(path.join(store, '.accounts'));
  fs.writeFileSync(path.join(store, '.accounts', 'owner'), 'Targets: mine also-mine gone\n');
  const directory = openClientDirectory(nodeSystem(), { store, client: 'mine' });
  await until(async () => {
    const runs = await readRuns(nodeSystem(), directory);
    return runs.some(({ code }) => code === 'OVERDUE');
  });
  const shown = await shownBy(asOps);
  t.deepEqual(
    shown.map(({ client, newestSet, protection }) => [client, newestSet, protection]),
    [
      ['also-mine', 1, 'encrypted'],
      ['mine', 1, 'encrypted'],
    ],
  );
  t.is(shown[1]!.state, 'late');
  t.is((await shownBy(['-D', store])).find(({ client }) => client === 'mine')!.state, 'late');
});
