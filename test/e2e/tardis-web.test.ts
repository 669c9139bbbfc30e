// Pace: long
/** The door of tardis-web, tested by hand-made requests: what it refuses, what it sends, and when it ends. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { run, Running, succeed, backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dataFiles } from '../helpers/damage.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';
import { WebDoor } from '../helpers/web-door.js';

backupsRunHere();
poolsStayAway();

const API = '/api/v1';
const EVIL = '<script>alert(1)</script>';
const PAGE = { 'x-tardis-page': '1', 'content-type': 'application/json' };

async function makeLab(base: string) {
  const [store, source] = [path.join(base, 'store'), path.join(base, 'tree')];
  fs.mkdirSync(store);
  makeTree(source, [dir('docs', [file('page.html', EVIL), file('a.txt', 'one\n')])]);
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  return { store, source };
}

test('without the cookie, with a used token or for another host nothing is sent', async (t) => {
  const { store } = await makeLab(scratchInMemory(t));
  const door = await WebDoor.during(t, store);
  const send = door.request.bind(door);
  t.is((await send(`${API}/session`)).status, 401);
  t.is((await send(`${API}/session`, { cookie: 'tardis-web=guess' })).status, 401);
  t.is((await send('/enter?token=guess')).headers['set-cookie'], undefined);
  t.is((await send(door.url.pathname + door.url.search, { host: 'evil.example' })).status, 403);
  const first = await send(door.url.pathname + door.url.search);
  t.is(first.status, 303);
  const [given = ''] = first.headers['set-cookie'] ?? [];
  for (const word of ['HttpOnly', 'SameSite=Strict', 'Path=/']) t.true(given.includes(word), given);
  t.false(given.includes(door.url.searchParams.get('token')!));
  const cookie = given.split(';')[0]!;
  t.is((await send(door.url.pathname + door.url.search)).headers['set-cookie'], undefined);
  t.is((await send(`${API}/session`, { cookie })).status, 200);
  const foreign: readonly Readonly<Record<string, string>>[] = [
    { host: 'evil.example' },
    { origin: 'http://evil.example' },
    { 'sec-fetch-site': 'cross-site' },
  ];
  for (const headers of foreign) {
    const { status, body } = await send(`${API}/clients/me/sets`, { ...headers, cookie });
    t.is(status, 403, JSON.stringify(headers));
    t.false(body.includes('openedAtMs'));
  }
  const loopback = { host: `127.0.0.1:${door.url.port}` };
  const program = { ...loopback, authorization: `Bearer ${door.programKey}` };
  t.is((await send(`${API}/session`, program)).status, 200);
  t.is((await send(`${API}/session`, { ...program, host: 'evil.example' })).status, 403);
  t.is((await send(`${API}/session`, { ...loopback, authorization: 'Bearer guess' })).status, 401);
  t.is((await send('/', { host: `localhost.evil.example:${door.url.port}` })).status, 403);
});

test('what changes something needs the header of the page, and a known shape', async (t) => {
  const { store, source } = await makeLab(scratchInMemory(t));
  const door = await WebDoor.during(t, store);
  const cookie = await door.enter();
  const request = {
    client: 'me',
    set: 1,
    paths: [`${source}/docs/a.txt`],
    overwrite: 'always',
    comparesContents: true,
    isPreview: false,
  };
  fs.writeFileSync(`${source}/docs/a.txt`, 'two\n');
  const send = (headers: Record<string, string>, body: object) =>
    door.request(`${API}/restores`, headers, { method: 'POST', body: JSON.stringify(body) });
  t.is((await send({ cookie, 'content-type': 'application/json' }, request)).status, 403);
  t.is((await send(PAGE, request)).status, 401);
  t.is((await send({ ...PAGE, cookie, origin: 'http://evil.example' }, request)).status, 403);
  const wrong = [
    { ...request, overwrite: 'maybe' },
    { ...request, paths: [] },
    { ...request, paths: ['relative'] },
    { ...request, paths: ['/'] },
    { ...request, paths: [`${source}/../x`] },
    { ...request, output: 'relative' },
    { ...request, other: 1 },
  ];
  for (const body of wrong) {
    t.is((await send({ ...PAGE, cookie }, body)).status, 400, JSON.stringify(body));
  }
  t.is(fs.readFileSync(`${source}/docs/a.txt`, 'utf8'), 'two\n');
  const started = await send({ ...PAGE, cookie }, request);
  t.is(started.status, 200, started.body);
  const { id } = JSON.parse(started.body) as { id: string };
  for (let state = 'running'; state === 'running'; ) {
    const { body } = await door.request(`${API}/jobs/${id}`, { cookie });
    ({ state } = JSON.parse(body) as { state: string });
  }
  t.is(fs.readFileSync(`${source}/docs/a.txt`, 'utf8'), 'one\n');
});

test('damage that a restore finds is marked, so that the next backup sends the content again', async (t) => {
  const base = scratchInMemory(t);
  const { store, source } = await makeLab(base);
  const place = ['-D', store, '-C', 'me'];
  const large = `${source}/docs/large`;
  const content = noise('large', 3 << 20);
  fs.writeFileSync(large, content);
  await succeed('tardis', [...place, '--local', source]);
  const objects = dataFiles({ store, client: 'me' }).map((name) => path.join(store, 'me', name));
  const object = objects.find((name) => fs.statSync(name).size > 2 << 20)!;
  const fd = fs.openSync(object, 'r+');
  fs.writeSync(fd, 'spoilt', 1 << 20);
  fs.closeSync(fd);
  const door = await WebDoor.start(store);
  try {
    const cookie = await door.enter();
    const request = {
      client: 'me',
      set: 2,
      paths: [large],
      output: path.join(base, 'out'),
      overwrite: 'always',
      comparesContents: false,
      isPreview: false,
    };
    const body = JSON.stringify(request);
    const started = await door.request(
      `${API}/restores`,
      { ...PAGE, cookie },
      { method: 'POST', body },
    );
    t.is(started.status, 200, started.body);
    await door.running.until('its mark', () => door.running.stderr.includes('was marked'));
  } finally {
    await door.close();
  }
  await succeed('tardis', [...place, '--local', source]);
  const out = path.join(base, 'again');
  await succeed('regenerate', [...place, '-o', out, large]);
  t.true(fs.readFileSync(path.join(out, 'large')).equals(content));
});

test('a page out of a backup cannot act, and the page of tardis-web loads nothing else', async (t) => {
  const { store, source } = await makeLab(scratchInMemory(t));
  const door = await WebDoor.during(t, store);
  const cookie = await door.enter();
  const at = `${API}/clients/me/sets/1/content?path=${source}/docs/page.html`;
  const { status, headers, body } = await door.request(at, { cookie });
  t.is(status, 200);
  t.is(body, EVIL);
  t.true(headers['content-security-policy']?.includes('sandbox'));
  t.true(headers['content-disposition']?.startsWith('attachment'));
  t.is(headers['x-content-type-options'], 'nosniff');
  const page = await door.request('/');
  const policy = String(page.headers['content-security-policy']);
  t.true(policy.includes("default-src 'none'"));
  t.false(/unsafe|https?:|\*/.test(policy), policy);
  t.is(page.headers['x-content-type-options'], 'nosniff');
  t.false(/(?:src|href)="(?:https?:)?\/\//.test(page.body));
  t.is((await door.request('/', { 'if-none-match': String(page.headers['etag']) })).status, 304);
  t.is((await door.request('/../package.json')).status, 404);
});

test('what a directory has lost is listed with the last set that has it', async (t) => {
  const { store, source } = await makeLab(scratchInMemory(t));
  fs.rmSync(`${source}/docs/a.txt`);
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', source]);
  const door = await WebDoor.during(t, store);
  const cookie = await door.enter();
  const deleted = async (set: number): Promise<[string, number][]> => {
    const at = `${API}/clients/me/sets/${set}/deleted?path=${source}/docs`;
    const { body } = await door.request(at, { cookie });
    const found = JSON.parse(body) as { deleted: { entry: { name: string }; lastSet: number }[] };
    return found.deleted.map(({ entry, lastSet }) => [entry.name, lastSet]);
  };
  t.deepEqual(await deleted(1), []);
  t.deepEqual(await deleted(2), [['a.txt', 1]]);
});

test('tardis-web listens on its port, and ends after a time without requests', async (t) => {
  const { store } = await makeLab(scratchInMemory(t));
  const first = await WebDoor.start(store);
  const { port } = first.url;
  const args = ['-D', store, '-C', 'me', '--no-browser', '--web-port', port];
  const taken = await run('tardis-web', args);
  t.is(taken.status, 1);
  t.true(taken.stderr.includes(`port ${port} is in use`), taken.stderr);
  await first.close();
  const second = await WebDoor.start(store, ['--web-port', port, '--idle-end', '1']);
  t.is(second.url.port, port);
  t.is((await second.running.ended).status, 0);
});

test('tardis-web opens the browser by a file that only its user can read', async (t) => {
  const base = scratchInMemory(t);
  const { store } = await makeLab(base);
  const tools = path.join(base, 'tools');
  const seen = path.join(base, 'seen');
  fs.mkdirSync(tools);
  const opener = `#!/bin/sh\necho "$@" >${seen}\nf=\${1#file://}\nstat -c %a "$f" >>${seen}\ncat "$f" >>${seen}\necho done >>${seen}\n`;
  fs.writeFileSync(path.join(tools, 'xdg-open'), opener, { mode: 0o755 });
  const env = { PATH: `${tools}:${process.env['PATH']!}`, TMPDIR: base };
  const running = new Running('tardis-web', ['-D', store, '-C', 'me'], { env });
  const isSeen = (): boolean =>
    fs.existsSync(seen) && fs.readFileSync(seen, 'utf8').endsWith('done\n');
  const tokenShown = (): string | undefined => /token=([\w-]+)\s/.exec(running.stdout)?.[1];
  await running.until('browser', () => isSeen() && tokenShown() !== undefined);
  const [words = '', mode, page = ''] = fs.readFileSync(seen, 'utf8').split('\n');
  const token = tokenShown();
  t.truthy(token);
  t.false(words.includes(token!));
  t.is(mode, '600');
  t.true(page.includes(token!));
  t.is((await running.endedBy('SIGTERM')).status, 0);
  t.false(fs.existsSync(words.replace('file://', '')));
});

test('tardis-web decrypts for its user, with every way to give a password', async (t) => {
  const base = scratchInMemory(t);
  const [store, source, secret] = ['store', 'tree', 'secret'].map((name) => path.join(base, name));
  fs.mkdirSync(store!);
  fs.writeFileSync(secret!, 'open sesame\n', { mode: 0o600 });
  makeTree(source!, [file('name.txt', 'hidden\n')]);
  const password = ['--password-file', secret!];
  await succeed('tardis', ['-D', store!, '-C', 'me', '--local', '--create', ...password, source!]);
  const door = await WebDoor.start(store!, password);
  try {
    const cookie = await door.enter();
    const at = `${API}/clients/me/sets/latest/content?path=${source!}/name.txt`;
    t.is((await door.request(at, { cookie })).body, 'hidden\n');
  } finally {
    await door.close();
  }
  const wrong = await run('tardis-web', [
    '-D',
    store!,
    '-C',
    'me',
    '--no-browser',
    '--password=wrong',
  ]);
  t.is(wrong.status, 12, wrong.stderr);
});
