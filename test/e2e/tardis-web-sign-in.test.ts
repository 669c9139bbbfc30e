// Pace: long
/** The address of tardis-web that lasts, and how further browsers sign in, on this machine and from others. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, poolsStayAway, run, succeed } from '../helpers/commands.js';
import { NO_BROWSER, openBrowser, watchedPage } from '../helpers/browser.js';
import { leaveOut } from '../helpers/left-out.js';
import { dir, file } from '../helpers/tree.js';
import { WebDoor } from '../helpers/web-door.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();
poolsStayAway();

const AT = '/api/v1/sign-in';
const PASSWORD = 'seven unrelated words';
const PAGE = { 'x-tardis-page': '1', 'content-type': 'application/json' };
const PHONE = { width: 390, height: 844 };

/** Makes a store, and a state directory of its own. */
async function makeLab(t: ExecutionContext) {
  const { at, place, source, store } = lab(t, [file('letter.txt', 'one\n')]);
  const secret = at('secret');
  fs.mkdirSync(store);
  fs.writeFileSync(secret, `${PASSWORD}\n`, { mode: 0o600 });
  await succeed('tardis', [...place, '--local', '--create', source]);
  const env = { XDG_STATE_HOME: at('state'), XDG_CONFIG_HOME: at('own') };
  await succeed('tardis-web', [...place, '--newpassword-file', secret], { env });
  return { store, place, env };
}

interface Given {
  readonly secret: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Signs in; returns the status, and the cookie as it was set. */
async function signIn(
  door: WebDoor,
  { secret, headers = PAGE }: Given,
): Promise<{ status: number; cookie: string | undefined }> {
  const body = JSON.stringify({ secret });
  const answer = await door.request(AT, headers, { method: 'POST', body });
  return { status: answer.status, cookie: answer.headers['set-cookie']?.[0] };
}

test('the address of tardis-web lasts over restarts, unless another program has its port', async (t) => {
  const { store, env } = await makeLab(t);
  const first = await WebDoor.start(store, [], { env });
  const session = await first.enter();
  await first.close();
  const second = await WebDoor.start(store, [], { env });
  t.is(second.address, first.address);
  t.is((await second.request('/api/v1/session', { cookie: session })).status, 401);
  await second.close();
  const other = net.createServer();
  await new Promise<void>((resolve) =>
    other.listen(Number(first.url.port), '127.0.0.1', () => resolve()),
  );
  const third = await WebDoor.start(store, [], { env });
  t.not(third.url.port, first.url.port);
  t.regex(third.running.stderr, /bookmarks do not work this time/);
  await third.close();
  await new Promise((resolve) => other.close(resolve));
  const fourth = await WebDoor.start(store, [], { env });
  t.is(fourth.address, first.address);
  await fourth.close();
});

test('a browser signs in by the password or by a code that works once, and signs out', async (t) => {
  const { store, place, env } = await makeLab(t);
  const door = await WebDoor.during(t, store, [], { env });
  const { status, cookie = '' } = await signIn(door, { secret: PASSWORD });
  t.is(status, 200);
  t.regex(cookie, /^tardis-web=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  const session = { cookie: cookie.split(';')[0]! };
  t.is((await door.request('/api/v1/session', session)).status, 200);
  t.is(
    (await door.request(AT, { 'x-tardis-page': '1', ...session }, { method: 'DELETE' })).status,
    200,
  );
  t.is((await door.request('/api/v1/session', session)).status, 401);

  const printed = await succeed('tardis-web', [...place, '--sign-in'], { env });
  t.true(printed.includes(door.address), printed);
  const [code = ''] = /(?:[A-Z2-9]{4}-){2}[A-Z2-9]{4}/.exec(printed) ?? [];
  t.is((await signIn(door, { secret: code.toLowerCase().replaceAll('-', ' ') })).status, 200);
  t.is((await signIn(door, { secret: code })).status, 401);
  const files = fs.readdirSync(path.join(env['XDG_STATE_HOME'], 'tardis/pages'));
  for (const name of files) {
    const kept = path.join(env['XDG_STATE_HOME'], 'tardis/pages', name);
    t.is(fs.statSync(kept).mode & 0o777, 0o600);
    t.false(fs.readFileSync(kept, 'utf8').includes(PASSWORD));
  }
  t.false(files.some((name) => name.includes('code')));
});

test('guesses at the password are few, and pages of other sites make none', async (t) => {
  const { store, env } = await makeLab(t);
  const door = await WebDoor.during(t, store, [], { env });
  const foreign: readonly Readonly<Record<string, string>>[] = [
    { 'content-type': 'application/json' },
    { ...PAGE, origin: 'http://evil.example' },
    { ...PAGE, 'sec-fetch-site': 'cross-site' },
    { ...PAGE, host: 'evil.example' },
    { ...PAGE, host: `${door.host}.evil.example` },
  ];
  for (const headers of foreign) {
    const { status, cookie } = await signIn(door, { secret: PASSWORD, headers });
    t.is(status, 403, JSON.stringify(headers));
    t.is(cookie, undefined);
  }
  const guesses = await Promise.all(
    Array.from({ length: 12 }, (_, index) => signIn(door, { secret: `guess ${index}` })),
  );
  t.is(guesses.filter(({ status }) => status === 401).length, 5);
  t.is(guesses.filter(({ status }) => status === 429).length, 7);
  t.is((await signIn(door, { secret: PASSWORD })).status, 429);
});

test('--listen serves other machines over TLS only, under the names of this machine', async (t) => {
  const { store, place, env } = await makeLab(t);
  for (const address of ['localhost', '127.0.0.1', '::1', 'backup.example']) {
    const refused = await run('tardis-web', [...place, '--no-browser', '--listen', address], {
      env,
    });
    t.is(refused.status, 1, refused.stderr);
    t.regex(refused.stderr, /CONFIG_INVALID/);
  }
  const door = await WebDoor.during(t, store, ['--listen', '0.0.0.0'], { env });
  t.is(door.url.protocol, 'https:');
  t.regex(door.printed.fingerprint!, /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  t.is((await door.request('/api/v1/session')).status, 401);
  const { status, cookie = '' } = await signIn(door, {
    secret: PASSWORD,
    headers: { ...PAGE, origin: new URL(door.address).origin },
  });
  t.is(status, 200);
  t.regex(cookie, /^__Host-tardis-web=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
  const session = { cookie: cookie.split(';')[0]! };
  t.is((await door.request('/api/v1/session', session)).status, 200);
  const wrong: readonly Readonly<Record<string, string>>[] = [
    { host: `evil.example:${door.url.port}` },
    { origin: `http://${door.host}` },
    { 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of wrong) {
    const answer = await door.request('/api/v1/session', { ...session, ...headers });
    t.is(answer.status, 403, JSON.stringify(headers));
  }
  await t.throwsAsync(fetch(`http://127.0.0.1:${door.url.port}/`)); // nothing is served in clear
});

test('a page that other machines reach restores nothing onto the settings of this program', async (t) => {
  const { at, place, source, store } = lab(t, [
    file('letter.txt', 'one\n'),
    dir('tardis', [file('backup.cfg', '[Tardis]\nHookBefore = touch /evil\n')]),
  ]);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const env = { XDG_STATE_HOME: at('state'), XDG_CONFIG_HOME: at('own') };
  fs.symlinkSync(at('own', 'tardis'), at('link'));
  const restored = async (door: WebDoor, output: string, ...names: readonly string[]) => {
    cookie ||= await door.enter();
    const headers = { ...PAGE, cookie };
    const paths = names.map((name) => path.join(source, name));
    const how = { overwrite: 'always', comparesContents: false, isPreview: false };
    const body = JSON.stringify({ client: 'me', set: 1, paths, output, ...how });
    const begun = await door.request('/api/v1/restores', headers, { method: 'POST', body });
    const { id } = JSON.parse(begun.body) as { id: string };
    for (;;) {
      const job = JSON.parse((await door.request(`/api/v1/jobs/${id}`, headers)).body);
      if (job.state !== 'running') return job.failures.map(({ code }: { code: string }) => code);
    }
  };
  let cookie = '';
  const door = await WebDoor.during(t, store, ['--listen', '0.0.0.0'], { env });
  const GUARDED = ['TARGET_GUARDED'];
  t.deepEqual(await restored(door, at('own'), 'tardis', 'letter.txt'), GUARDED);
  t.deepEqual(await restored(door, at('link'), 'tardis/backup.cfg'), GUARDED);
  t.true(fs.existsSync(at('own', 'letter.txt')));
  t.false(fs.existsSync(at('own', 'tardis', 'backup.cfg')));
  await door.close();
  cookie = '';
  t.deepEqual(await restored(await WebDoor.during(t, store, [], { env }), at('own'), 'tardis'), []);
  t.true(fs.existsSync(at('own', 'tardis', 'backup.cfg')), 'the page of this machine only');
});

test('a second browser signs in on a phone, and a tab goes on after a restart', async (t) => {
  const browser = await openBrowser();
  if (browser === undefined) return leaveOut(t, NO_BROWSER);
  const { store, env } = await makeLab(t);
  let door = await WebDoor.start(store, ['--listen', '0.0.0.0'], { env });
  const { page, faults } = await watchedPage(browser, door.host, PHONE);
  try {
    const local = `https://localhost:${door.url.port}/`;
    await page.goto(local);
    const secret = page.getByLabel('Password or code');
    await secret.fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This is wrong').waitFor();
    await secret.fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('grid').waitFor();
    await door.close();
    door = await WebDoor.start(store, ['--listen', '0.0.0.0'], { env });
    await secret.waitFor(); // the tab requests news by itself
    await secret.fill(PASSWORD);
    await secret.press('Enter');
    await page.getByRole('grid').waitFor();
    t.is(page.url().split('#')[0], local);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await secret.waitFor();
    t.deepEqual(
      faults.filter((fault) => /^(?:error|dialog)/.test(fault)),
      [],
    );
  } finally {
    await browser.close();
    await door.close();
  }
});

test('commands of the set-up are shown and changed only where no other machine reaches the page', async (t) => {
  const { store, env } = await makeLab(t);
  const config = path.join(env['XDG_CONFIG_HOME'], 'tardis', 'backup.cfg');
  fs.mkdirSync(path.dirname(config), { recursive: true });
  const hook = 'HookBefore = echo hook\n';
  const text = `# Written by \`tardis setup\`, for a test\n[Tardis]\nDirectories = /\nDatabase = ${store}\nLocal = yes\nClient = me\n${hook}`;
  fs.writeFileSync(config, text);
  const at = '/api/v1/clients/me/setup';
  for (const words of [[], ['--listen', '0.0.0.0']]) {
    const door = await WebDoor.start(store, words, { env });
    const headers = { ...PAGE, authorization: `Bearer ${door.programKey}` };
    const shown = JSON.parse((await door.request(at, headers)).body) as Record<string, string>;
    t.is(shown['Report'], 'nobody');
    t.is(shown['HookBefore'], words.length === 0 ? 'echo hook' : undefined);
    if (words.length > 0) {
      const body = JSON.stringify({ HookBefore: 'touch /nowhere' });
      t.is((await door.request(at, headers, { method: 'POST', body })).status, 400);
    }
    await door.close();
  }
  t.is(fs.readFileSync(config, 'utf8'), text);
});
