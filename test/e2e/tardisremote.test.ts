// Pace: slow
/** The program tardisremote, with HTTP requests and the tools as its clients. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { run, Running, succeed, backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { lab, restoredBy } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';
import { spoilContent } from '../helpers/rot.js';

backupsRunHere();
poolsStayAway();

const PASSWORD = '--password=gravel-Otter9-lamp';

interface Served {
  readonly url: string;
  readonly server: Running;
}

/** Starts a server with TLS, or with the given words instead. */
async function serve(
  t: ExecutionContext,
  store: string,
  words: readonly string[],
): Promise<Served> {
  const server = new Running('tardisremote', ['-D', store, '--json', ...words]);
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its line', () => server.stdout.includes('\n'));
  const { ready } = JSON.parse(server.stdout) as { ready: string };
  return { url: ready, server };
}

function tlsWords(at: (name: string) => string): string[] {
  const files = ['--certfile', at('cert.pem'), '--keyfile', at('key.pem'), '--make-certificate'];
  return ['--port', '0', '--address', '127.0.0.1', '--ssl', ...files];
}

async function textOf(url: string, headers: Record<string, string> = {}): Promise<string> {
  return (await fetch(url, { headers })).text();
}

async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  const answer = await fetch(url, { headers });
  await answer.arrayBuffer();
  return answer.status;
}

function bearerOf(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

const PLAIN = ['--port', '0', '--insecure-tcp'];

async function tokenOf(store: string, client: string, rights: string): Promise<string> {
  const words = ['-D', store, '-C', client, '--json', '--add', 'script', '--token', '--rights'];
  const stdout = await succeed('sonic', ['account', ...words, rights]);
  return (JSON.parse(stdout) as { token: string }).token;
}

test('a request that fails is logged, with its call stack if LogExceptions is set', async (t) => {
  const { store, source } = lab(t);
  fs.writeFileSync(path.join(source, 'letter.txt'), noise(1, 5000));
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  spoilContent(path.join(store, 'me/packs'), noise(1, 5000));
  const bearer = bearerOf(await tokenOf(store, 'me', 'list,read'));
  const file = encodeURIComponent(path.join(source, 'letter.txt'));
  for (const [words, hasStack] of [
    [[], false],
    [['--log-exceptions'], true],
  ] as const) {
    const { url, server } = await serve(t, store, [...PLAIN, ...words]);
    const content = `${url}api/v1/clients/me/sets/latest/content?path=${file}`;
    t.true((await statusOf(content, bearer).catch(() => 500)) >= 500);
    await server.until('its log', () => server.stderr.includes('a request failed'));
    t.regex(server.stderr, /"code":"(CONTENT|RECORD)_DAMAGED"/);
    t.is(/"stack":".*\\n +at /.test(server.stderr), hasStack);
    server.signalGroup('SIGKILL');
    await server.ended;
  }
});

test('a token logs in to tardisremote until it is removed', async (t) => {
  const { store, source } = lab(t);
  fs.writeFileSync(path.join(source, 'letter.txt'), 'dear all');
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const token = await tokenOf(store, 'me', 'list,read');
  t.false(fs.readFileSync(path.join(store, 'me/accounts/script/token'), 'latin1').includes(token));
  const { url } = await serve(t, store, PLAIN);
  const base = `${url}api/v1`;
  const bearer = bearerOf(token);
  const place = `${base}/clients/me/sets/latest`;
  const file = encodeURIComponent(path.join(source, 'letter.txt'));
  const content = `${place}/content?path=${file}`;
  t.is(await statusOf(`${base}/health`), 200);
  t.is(await statusOf(`${place}/entry?path=${file}`), 401);
  t.is(await textOf(content, bearer), 'dear all');
  t.is(await textOf(content, { ...bearer, range: 'bytes=5-7' }), 'all');
  const basic = `Basic ${Buffer.from(`me:${token}`).toString('base64')}`;
  t.is(await textOf(content, { authorization: basic }), 'dear all');
  t.is(await statusOf(`${base}/clients/other/sets`, bearer), 403);
  t.is(await statusOf(`${base}/metrics`, bearer), 403);
  const wrong = `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`;
  t.is(await statusOf(`${base}/session`, bearerOf(wrong)), 401);

  const change = ['account', '-D', store, '-C', 'me'];
  await succeed('sonic', [...change, '--change', 'script', '--rights', 'list']);
  t.is(await statusOf(content, bearer), 403);
  t.is(await statusOf(`${place}/entry?path=${file}`, bearer), 200);
  const listed = await succeed('sonic', change);
  t.regex(listed, /^script +list +token$/m);
  await succeed('sonic', [...change, '--remove', 'script']);
  t.is(await statusOf(`${place}/entry?path=${file}`, bearer), 401);
  t.notRegex(await succeed('sonic', change), /script/);
});

test('the tools read a client that encrypts through tardisremote as they do directly', async (t) => {
  const { store, source, at } = lab(t);
  fs.writeFileSync(path.join(source, 'secret.txt'), 'as of set 1');
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', PASSWORD, source]);
  fs.writeFileSync(path.join(source, 'secret.txt'), 'as of set 2');
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', PASSWORD, source]);
  const { url } = await serve(t, store, tlsWords(at));
  const [here, there] = [
    ['-D', store, '-C', 'me', PASSWORD],
    ['--server', url, '-C', 'me', PASSWORD],
  ];
  for (const words of [
    [],
    ['-l', source],
    [path.join(source, 'secret.txt')],
    ['--find', 'secret*'],
  ]) {
    const [direct, far] = [
      await succeed('lstardis', [...here, ...words]),
      await succeed('lstardis', [...there, ...words]),
    ];
    t.is(far, direct);
  }
  t.deepEqual(await restoredBy(there, source, at('out')), []);
  const file = path.join(source, 'secret.txt');
  const diff = await run('tardiff', [...there, '-b', '1', '-b', '2', file]);
  t.regex(diff.stdout, /^-as of set 1/m);
  const info = ['info', '-C', 'me', PASSWORD];
  const [direct, far] = [
    await succeed('sonic', [...info, '-D', store]),
    await succeed('sonic', [...info, '--server', url]),
  ];
  t.is(far, direct);

  exited(t, 12, await run('lstardis', ['--server', url, '-C', 'me', '--password=wrong-one-Here7']));
  const backup = await run('tardis', ['--server', url, '-C', 'me', PASSWORD, source]);
  t.regex(backup.stderr, /\[CONFIG_INVALID\]/);
  const plain = await run('lstardis', [
    '--server',
    url.replace('https', 'http'),
    '-C',
    'me',
    PASSWORD,
  ]);
  t.regex(plain.stderr, /\[CONFIG_INVALID\]/);
});

test('tardisremote reads its settings from a file, variables and options', async (t) => {
  const { store, at } = lab(t);
  const file = at('tardisremote.cfg');
  fs.writeFileSync(file, `[Tardis]\nDatabase = ${store}\nPort = 7\nAllowCache = no\nSSL = no\n`);
  const explain = ['--config', file, '--explain-config', '--json'];
  const shown = (env: Record<string, string> = {}, words: string[] = []): Promise<string> =>
    succeed('tardisremote', [...explain, ...words], { env });
  t.regex(await shown(), /"remotePort"[^}]*7/);
  t.regex(await shown({ TARDIS_REMOTE_PORT: '9' }), /"remotePort"[^}]*7/); // the file counts more
  t.regex(await shown({}, ['--port', '8']), /"remotePort"[^}]*8/);
  const usual = await succeed('tardisremote', ['--explain-config', '--json'], {
    env: { TARDIS_REMOTE_CONFIG: file },
  });
  t.regex(usual, /"allowCache"[^}]*false/);
  const open = await run('tardisremote', ['-D', store, '--address', '0.0.0.0', '--insecure-tcp']);
  t.regex(open.stderr, /\[INSECURE_TCP_REFUSED\]/);
  exited(t, 10, await run('tardisremote', ['-D', at('nothing'), '--insecure-tcp', '--port', '0']));
});

test('tardisremote runs in the background, with its PidFile, and ends at a signal', async (t) => {
  const { store, source, at } = lab(t);
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const pidFile = at('remote.pid');
  const words = ['-D', store, ...PLAIN, '--pidfile', pidFile, '--logfile', at('log')];
  await succeed('tardisremote', [...words, '--daemon']);
  const pid = Number(fs.readFileSync(pidFile, 'latin1'));
  t.true(pid > 0);
  const second = await run('tardisremote', words);
  t.regex(second.stderr, /\[SERVER_RUNS\]/);
  process.kill(pid, 'SIGTERM');
  await until(() => !fs.existsSync(pidFile));
  t.pass();
});

test('tardisremote ends at a signal while readers have left their archives behind', async (t) => {
  const { at, store, source } = lab(t);
  fs.writeFileSync(path.join(source, 'large'), noise(1, 32 << 20));
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const { authorization } = bearerOf(await tokenOf(store, 'me', 'list,read'));
  const { url, server } = await serve(t, store, tlsWords(at));
  const archive = `${url}api/v1/clients/me/sets/latest/archive`;
  const words = ['-sk', '--http2', '--limit-rate', '100k', '--max-time', '2', '-o', at('got')];
  const left = spawnSync('curl', [...words, '-H', `Authorization: ${authorization}`, archive]);
  if (left.error !== undefined) t.log(`left out: ${left.error.message}`);
  else t.true(fs.statSync(at('got')).size > 0, left.stderr.toString());
  exited(t, 0, await server.endedBy('SIGTERM'));
});

test('a tardisd with Remote serves its store over HTTP too', async (t) => {
  const { store, source, at } = lab(t);
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const token = await tokenOf(store, 'me', 'list');
  const file = at('tardisd.cfg');
  const lines = [`BaseDir = ${store}`, 'Port = 0', 'Remote = yes', 'RemotePort = 0', 'Verbose = 1'];
  fs.writeFileSync(file, `[Tardis]\n${lines.join('\n')}\n`);
  const server = new Running('tardisd', ['--config', file, '--insecure-tcp']);
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its port', () => /"port":\d+/.test(server.stderr));
  const [, port] = /"port":(\d+)/.exec(server.stderr)!;
  const url = `http://127.0.0.1:${port}/api/v1/clients/me/sets`;
  const { sets } = JSON.parse(await textOf(url, bearerOf(token))) as { sets: object[] };
  t.is(sets.length, 1);
  t.is((await server.endedBy('SIGTERM')).status, 0);

  const single = new Running('tardisd', ['--config', file, '--insecure-tcp', '-C', 'other']);
  t.teardown(() => single.signalGroup('SIGKILL'));
  await single.until('its port', () => /"port":\d+/.test(single.stderr));
  const [, otherPort] = /"port":(\d+)/.exec(single.stderr)!;
  const there = url.replace(`:${port}/`, `:${otherPort}/`);
  t.is(await statusOf(there, bearerOf(token)), 401);
});

test('Compress and AllowCache decide the headers of answers', async (t) => {
  const { store, source } = lab(t);
  for (let n = 0; n < 100; n += 1) fs.writeFileSync(path.join(source, `file ${n}`), 'x');
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const token = await tokenOf(store, 'me', 'list,read');
  const headers = async (url: string, route: string): Promise<Headers> => {
    const requested = { ...bearerOf(token), 'accept-encoding': 'gzip' };
    return (await fetch(`${url}api/v1/${route}`, { headers: requested })).headers;
  };
  const directory = `clients/me/sets/1/directory?path=${encodeURIComponent(source)}`;
  const content = `clients/me/sets/1/content?path=${encodeURIComponent(path.join(source, 'file 1'))}`;
  const usual = await serve(t, store, PLAIN);
  t.is((await headers(usual.url, directory)).get('content-encoding'), 'gzip');
  t.regex((await headers(usual.url, content)).get('cache-control')!, /^private, max-age=\d+/);
  const other = await serve(t, store, [...PLAIN, '--no-compress', '--no-allow-cache']);
  t.is((await headers(other.url, directory)).get('content-encoding'), null);
  t.is((await headers(other.url, content)).get('cache-control'), 'no-store');
});
