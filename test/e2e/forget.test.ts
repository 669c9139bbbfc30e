// Pace: slow
/** `sonic forget-path`, on the store's machine and through a server. */
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, jsonLines, run, Server, succeed } from '../helpers/commands.js';
import { decodedBytes } from '../helpers/forgets.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { dir, file, noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';

backupsRunHere();

const SECRET = 'Axolotl-secret-88A0';

async function withSecret(t: ExecutionContext, more: readonly string[] = []) {
  const {
    store,
    source,
    place: own,
    at,
  } = lab(t, [
    file('stays', 'what stays'),
    dir('private', [file('secret', `${SECRET} in a file`), file('more', noise(1, 200_000))]),
  ]);
  const place = [...own, ...more];
  await backup([...place, '--local', '--create', source]);
  fs.appendFileSync(at('tree', 'private', 'more'), 'changed');
  fs.cpSync(at('tree', 'private', 'more'), at('tree', 'elsewhere'));
  await backup([...place, '--local', source]);
  const hidden = at('tree', 'private');
  const shows = async (set: string): Promise<string> =>
    succeed('lstardis', [...place, '-b', set, source]);
  const reported = async (): Promise<Record<string, unknown>> =>
    jsonLines(await succeed('sonic', ['forget-path', '--list', '--json', ...place]))[0]!;
  return { at, store, source, place, hidden, shows, reported };
}

test('a path is forgotten: the request is previewed, can be undone, and is carried out when due', async (t) => {
  const { at, store, place, hidden, shows, reported } = await withSecret(t);
  const forget = (...args: string[]) => run('sonic', ['forget-path', ...place, ...args]);
  for (const option of ['--preview', '--dry-run']) {
    const shown = await succeed('sonic', ['forget-path', ...place, option, hidden]);
    t.regex(shown, /4 versions in 2 sets would be deleted/);
    t.regex(shown, /1 content would be kept, since other paths use/);
    t.regex(shown, /The newest set has it/);
  }
  t.deepEqual((await reported())['requests'], []);
  t.regex((await forget(hidden)).stderr, /CONFIRMATION_NEEDED/);
  t.regex((await forget('--yes', at('tree', 'never'))).stderr, /NO_SUCH_PATH/);
  t.regex((await forget('--yes', at('tree'))).stderr, /is a root or contains one.*USAGE/);
  t.regex((await forget('--list', '-n')).stderr, /USAGE/);
  t.regex((await forget('--list', hidden)).stderr, /USAGE/);
  t.regex((await forget('--now', hidden)).stderr, /USAGE/);
  t.regex((await forget('--undo-period', 'soon', '--yes', hidden)).stderr, /--undo-period/);

  const no = await runOnTerminal('sonic', ['forget-path', ...place, hidden], ['n\r']);
  t.not(no.status, 0);
  const yes = await runOnTerminal('sonic', ['forget-path', ...place, hidden], ['y\r']);
  t.is(yes.status, 0, yes.shown);
  t.regex(yes.shown, /--undo 1` undoes this/);
  const [requested] = (await reported())['requests'] as {
    dueAtMs: number;
    requestedAtMs: number;
  }[];
  t.like(requested, { id: 1, lastSet: 2, name: hidden });
  t.is(requested!.dueAtMs - requested!.requestedAtMs, 7 * 86_400_000);
  t.regex(await shows('1'), /private/, 'until then it is there');
  t.regex(await succeed('sonic', ['forget-path', '--finish', ...place]), /No requests .* are due/);
  await succeed('sonic', ['rebuild', ...place]);
  t.is(((await reported())['requests'] as unknown[]).length, 1, 'a request survives the catalog');
  for (const more of [[], ['-n']]) {
    t.regex((await forget('--undo', '2', ...more)).stderr, /NO_SUCH_REQUEST/);
  }
  t.regex((await forget('--undo', '1', '--dry-run')).stdout, /would undo: 1/);
  t.is(((await reported())['requests'] as unknown[]).length, 1);
  t.regex((await forget('--yes', hidden)).stdout, /^1: .*private was already requested/m);
  await succeed('sonic', ['forget-path', ...place, '--undo', '2']);
  await succeed('sonic', ['forget-path', ...place, '--undo', '1']);
  t.deepEqual((await reported())['requests'], []);

  await succeed('sonic', ['forget-path', ...place, '--yes', '--undo-period', '2d', hidden]);
  fs.writeFileSync(at('tree', 'private', 'later'), 'a later set has it');
  await backup([...place, '--local', at('tree')]);
  const done = ['forget-path', '--finish', '--now', ...place, '--json'];
  t.regex(
    (await run('sonic', done)).stderr + (await run('sonic', done)).stdout,
    /CONFIRMATION_NEEDED/,
  );
  t.like(jsonLines(await succeed('sonic', [...done, '--dry-run']))[0], { isPreview: true });
  t.is(((await reported())['requests'] as unknown[]).length, 1);
  t.like(jsonLines(await succeed('sonic', [...done, '--yes']))[0], { forgotten: 1, sets: 3 });
  t.deepEqual((await reported())['requests'], []);
  for (const set of ['1', '2']) t.notRegex(await shows(set), /private/);
  t.regex(await shows('3'), /private/, 'what was saved since stays');
  const kept = await succeed('regenerate', [...place, '-o', at('out'), at('tree')]);
  t.regex(kept, /Restored 5 files/);
  t.regex(await succeed('sonic', ['check', '--read-data', ...place]), /No damage found/);
  t.true((await decodedBytes({ store, client: 'me' })).includes('what stays'));
});

test('no copy of the catalog keeps what was forgotten', async (t) => {
  const { at, store, place, hidden } = await withSecret(t);
  fs.rmSync(hidden, { recursive: true });
  await backup([...place, '--local', at('tree')]);
  t.true((await decodedBytes({ store, client: 'me' })).includes(SECRET));
  await succeed('sonic', ['forget-path', ...place, '--yes', hidden]);
  await succeed('sonic', ['forget-path', '--finish', '--now', '--yes', ...place]);
  t.deepEqual(
    fs.readdirSync(store).filter((name) => name.startsWith('.me')),
    [],
  );
  const left = await decodedBytes({ store, client: 'me' });
  t.false(left.includes(SECRET));
  t.false(left.includes('secret'), 'nor its name');
});

test('a client that encrypts forgets with its keys, and gets new ones', async (t) => {
  const { at, place, hidden, shows, source } = await withSecret(t, ['--password=of a test 4711']);
  fs.rmSync(hidden, { recursive: true });
  await backup([...place, '--local', source]);
  await succeed('sonic', ['forget-path', ...place, '--yes', '--undo-period', '0d', hidden]);
  t.regex(await succeed('sonic', ['forget-path', '--list', ...place]), new RegExp(hidden));
  const wrong = ['-D', at('store'), '-C', 'me', '--password=wrong'];
  const refused = await run('sonic', ['forget-path', '--finish', '--yes', ...wrong]);
  t.regex(refused.stderr, /LOGIN_FAILED/);
  t.regex(
    (await run('sonic', ['forget-path', '--finish', ...place])).stderr,
    /CONFIRMATION_NEEDED/,
  );
  t.regex(await succeed('sonic', ['forget-path', '--finish', '--yes', ...place]), /new keys/);
  for (const set of ['1', '2', '3']) t.notRegex(await shows(set), /private/);
  await succeed('regenerate', [...place, '--authenticate', '-o', at('out'), source]);
  await backup([...place, '--local', source]);
  t.regex(await succeed('sonic', ['check', '--read-data', ...place]), /No damage found/);
});

test('no path is forgotten over the network before ForgetAfter', async (t) => {
  const secret = written(scratchInMemory(t), 'password', 'of a test 4711\n');
  const own = ['-F', secret, '--no-crypt'];
  const { at, store, place: made, hidden } = await withSecret(t, own);
  const place = made.filter((word) => word !== '--no-crypt');
  const rights = ['--rights', 'read,list,purge', '--newpassword-file', secret];
  await succeed('sonic', ['account', ...place, '--add', 'tidier', ...rights]);
  const config = at('config');
  fs.writeFileSync(config, '[Tardis]\nForgetAfter = 3\nLeastAge = 1\nGcInterval = 0.3\n');
  await succeed('sonic', ['lock', ...place, '1']);
  const server = await Server.during(t, store, ['--config', config]);
  const far = [...server.clientArgs, '-C', 'me', '-F', secret, '--account', 'tidier'];
  t.regex(await succeed('sonic', ['forget-path', '--preview', ...far, hidden]), /4 versions/);
  const after = (period: string): string[] => [
    'forget-path',
    '--yes',
    '--undo-period',
    period,
    '--json',
    ...far,
    hidden,
  ];
  t.regex((await run('sonic', after('0d'))).stdout, /SET_LOCKED/);
  await succeed('sonic', ['lock', '--unlock', ...place, '1']);
  const requested = async (period: string) => {
    const [first] = jsonLines(await succeed('sonic', after(period)));
    const all = first!['requests'] as { dueAtMs: number; requestedAtMs: number; id: number }[];
    const { dueAtMs, requestedAtMs, id } = all[0]!;
    return { id, periodMs: dueAtMs - requestedAtMs };
  };
  const { id, periodMs } = await requested('1d');
  t.is(periodMs, 86_400_000);
  await succeed('sonic', ['forget-path', '--undo', String(id), ...far]);
  const listed = jsonLines(await succeed('sonic', ['forget-path', '--list', '--json', ...far]))[0]!;
  t.deepEqual(listed['requests'], []);
  const refused = await run('sonic', ['forget-path', '--finish', ...far]);
  t.regex(refused.stderr, /CAPABILITY_MISSING/);

  const started = Date.now();
  t.is((await requested('0d')).periodMs, 3000, 'the server requires more');
  await until(() => server.running.stderr.includes('paths were forgotten'));
  t.true(Date.now() - started >= 3000);
  const listing = await succeed('lstardis', [...far, '-b', '1', at('tree')]);
  t.notRegex(listing, /private/);
  t.regex(listing, /stays/, 'the account is still there');
  t.false((await decodedBytes({ store, client: 'me' })).includes(SECRET));
  t.regex(await succeed('sonic', ['check', '--read-data', ...place]), /No damage found/);
});
