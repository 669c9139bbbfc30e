// Pace: slow
/** The program tardisremote behind a reverse proxy that serves it below a path of its own. */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NO_BROWSER, openBrowser, watchedPage } from '../helpers/browser.js';
import { backupsRunHere, poolsStayAway, Running, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { leaveOut } from '../helpers/left-out.js';
import { listening } from '../helpers/listener.js';

backupsRunHere();
poolsStayAway();

const PREFIX = '/backups';
const FILES = ['cur/1700000000.M1P2.host:2,S', 'a:b', 'a:dir/c:d', 'it is 100 % & <new>?#'];

interface Behind {
  readonly source: string;
  readonly token: string;
  /** Port of the proxy. */
  readonly port: number;
  /** Value of X-Forwarded-Prefix that the proxy adds; undefined adds none. */
  header: string | undefined;
  /** Sends a request for a path, which is not normalized, to the proxy. */
  ask(path: string, method?: string): Promise<{ status: number; body: string }>;
}

/** Backs up FILES, and starts tardisremote and a proxy that removes PREFIX. */
async function behindProxy(
  t: ExecutionContext,
  words: readonly string[],
  added?: string,
): Promise<Behind> {
  const { store, source } = lab(t);
  for (const name of FILES) {
    fs.mkdirSync(path.dirname(path.join(source, name)), { recursive: true });
    fs.writeFileSync(path.join(source, name), name);
  }
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  const account = ['account', '-D', store, '-C', 'me', '--json', '--add', 'script', '--token'];
  const made = await succeed('sonic', [...account, '--rights', 'list,read']);
  const { token } = JSON.parse(made) as { token: string };
  const plain = ['-D', store, '--json', '--port', '0', '--insecure-tcp'];
  const server = new Running('tardisremote', [...plain, ...words]);
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its line', () => server.stdout.includes('\n'));
  const { port } = new URL((JSON.parse(server.stdout) as { ready: string }).ready);
  const proxy = http.createServer((request, answer) => {
    const { url = '', method, headers } = request;
    const given = behind.header === undefined ? {} : { 'x-forwarded-prefix': behind.header };
    const at = { host: '127.0.0.1', port, path: url.slice(PREFIX.length), method };
    const far = http.request({ ...at, headers: { ...headers, ...given } }, (from) => {
      answer.writeHead(from.statusCode!, from.headers);
      from.pipe(answer);
    });
    request.pipe(far);
  });
  const near = await listening(t, proxy);
  const authorization = `Basic ${Buffer.from(`x:${token}`).toString('base64')}`;
  const ask: Behind['ask'] = (target, method = 'GET') =>
    new Promise((resolve, reject) => {
      const headers = { authorization, depth: '1' };
      const at = { host: '127.0.0.1', port: near, path: target, method, headers };
      const request = http.request(at, (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          body += part;
        });
        answer.on('end', () => resolve({ status: answer.statusCode!, body }));
      });
      request.on('error', reject);
      request.end();
    });
  const behind: Behind = { ask, source, token, port: near, header: added };
  return behind;
}

/** Returns the contents of all files below a collection, as a program finds them that follows only URLs below it. */
async function contentsBelow({ ask }: Behind, place: string): Promise<string[]> {
  const { status, body } = await ask(place, 'PROPFIND');
  if (status !== 207) return [body];
  const hrefs = [...body.matchAll(/<D:href>(.*?)<\/D:href>/g)].map(([, href]) => href!);
  const found: string[] = [];
  for (const href of hrefs.filter((each) => each.startsWith(place) && each !== place)) {
    if (href.endsWith('/')) found.push(...(await contentsBelow({ ask } as Behind, href)));
    else found.push((await ask(href)).body);
  }
  return found;
}

const TRUSTED = ['--trusted-proxies', '127.0.0.1'];

test('WebDAV and the API have the path of a trusted proxy that serves them below one', async (t) => {
  const behind = await behindProxy(t, TRUSTED, `${PREFIX}/`);
  const found = await contentsBelow(behind, `${PREFIX}/dav/me/Current${behind.source}/`);
  t.deepEqual(found.filter((body) => FILES.includes(body)).toSorted(), FILES.toSorted());
  t.true(
    (await contentsBelow(behind, `${PREFIX}/dav/`)).includes('a:b'),
    'from the list of clients',
  );

  const document = `${PREFIX}/api/v1/openapi.json`;
  const { servers, paths } = JSON.parse((await behind.ask(document)).body) as {
    servers: { url: string }[];
    paths: object;
  };
  t.true('/health' in paths);
  const base = new URL(servers[0]!.url, `http://proxy${document}`).pathname;
  t.is(base, `${PREFIX}/api/v1`);
  t.is((await behind.ask(`${base}/health`)).status, 200);
});

test('the page works below the path of a proxy, and so does WebDAV from there', async (t) => {
  const browser = await openBrowser();
  if (browser === undefined) return leaveOut(t, NO_BROWSER);
  t.teardown(() => browser.close());
  const { port, token } = await behindProxy(t, TRUSTED, PREFIX);
  const { page, faults } = await watchedPage(browser, `localhost:${port}`);
  await page.goto(`http://localhost:${port}${PREFIX}/`);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('rowheader', { name: 'me' }).waitFor();
  await page.getByRole('button', { name: 'Files', exact: true }).click();
  await page.getByRole('button', { name: 'a:b', exact: true }).click();
  await page.locator('.preview-text', { hasText: 'a:b' }).waitFor();
  const listing = await page.evaluate<string>(
    "fetch('dav/me/', { method: 'PROPFIND', headers: { depth: '1' } }).then((answer) => answer.text())",
  );
  t.true(listing.includes(`<D:href>${PREFIX}/dav/me/Current`), listing);
  t.deepEqual(
    faults.filter((fault) => !/ 401 /.test(fault)),
    [],
  );
});

test('a name with a colon is found behind a dot segment, and no other segment leads elsewhere', async (t) => {
  const { ask, source } = await behindProxy(t, TRUSTED);
  const place = `${PREFIX}/dav/me/Current${source}`;
  for (const dots of [
    '/./a:b',
    '//a:b',
    '/%2e/a%3Ab',
    '/./a:dir/.././a:b',
    '/.//./a:b',
    '/%2E%2f/a:b',
  ]) {
    const { status, body } = await ask(`${place}${dots}`);
    const isUp = /\.\.|%2f/i.test(dots);
    t.is(status, isUp ? 400 : 200, dots);
    if (!isUp) t.is(body, 'a:b');
  }
  const { status, body } = await ask(`${place}/./a:dir/`, 'PROPFIND');
  t.is(status, 207);
  t.true(body.includes(`${source}/a%3Adir/c%3Ad<`), body);
  for (const up of ['/..', '/%2e%2e', '/.%2e/', '/./../me', '/.%00', '/.%20', '/...']) {
    const { status: refused } = await ask(`${place}${up}`);
    t.true([400, 404].includes(refused), `${up} ${refused}`);
  }
});

test('a path before that of WebDAV is refused if it comes from anybody else, or is none', async (t) => {
  const stranger = await behindProxy(t, [], PREFIX);
  const refused = await stranger.ask(`${PREFIX}/dav/me/`, 'PROPFIND');
  t.is(refused.status, 400);
  t.regex(refused.body, /not in TrustedProxies/);
  t.is((await stranger.ask(`${PREFIX}/api/v1/health`)).status, 200, 'the API needs no such path');
  const proxied = await behindProxy(t, TRUSTED);
  for (const wrong of [
    'backups',
    'http://evil.example/',
    '/a, /b',
    '/<x>',
    '/a/../b',
    `/${'a'.repeat(300)}`,
  ]) {
    proxied.header = wrong;
    const { status, body } = await proxied.ask(`${PREFIX}/dav/me/`, 'PROPFIND');
    t.is(status, 400, wrong);
    t.regex(body, /is not one path/);
  }
});
