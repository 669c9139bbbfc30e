// Pace: slow
/** WebDAV over the history lab: the layout of a mount, properties, contents, and what is refused. */
import type { ExecutionContext } from 'ava';
import anyTest, { type TestFn } from 'ava';
import { assert, asyncProperty, uint8Array } from 'fast-check';
import { propertiesIn } from '../../../src/web/dav/index.js';
import { MANY, ODD_NAMES, historyLabFor } from '../../helpers/history-lab.js';
import { openDoors, quotedPath, type WebDoors } from '../../helpers/web-doors.js';

const plain = anyTest as TestFn<WebDoors>;
const lab = historyLabFor(plain, false);

function test(title: string, body: (t: ExecutionContext<WebDoors>) => Promise<void>): void {
  for (const isRemote of [false, true]) {
    plain(`${title}${isRemote ? ', in front of a server' : ''}`, async (t) => {
      t.context = await openDoors(t, lab.place, { isRemote });
      await body(t);
    });
  }
}

interface Found {
  readonly href: string;
  readonly text: string;
}

async function propfind(
  t: ExecutionContext<WebDoors>,
  path: string,
  depth = '1',
  body = '',
): Promise<Found[]> {
  const answer = await t.context.get(path, { method: 'PROPFIND', headers: { depth }, body });
  const text = await answer.text();
  t.is(answer.status, 207, text);
  return [...text.matchAll(/<D:response><D:href>(.*?)<\/D:href>(.*?)<\/D:response>/gs)].map(
    ([, href, rest]) => ({ href: href!, text: rest! }),
  );
}

async function namesIn(t: ExecutionContext<WebDoors>, path: string): Promise<string[]> {
  const [self, ...others] = await propfind(t, path);
  return others.map(({ href }) => href.slice(self!.href.length));
}

test('the tree has the layout of a mount', async (t) => {
  t.deepEqual(await namesIn(t, '/dav'), ['me/']);
  const top = await namesIn(t, '/dav/me/');
  t.deepEqual(top.slice(0, 3), ['by-date/', 'versions/', 'Current/']);
  t.true(top.includes('first/'));
  t.is(top.length, 9);
  let place = '/dav/me/by-date/';
  for (let depth = 0; depth < 3; depth += 1) {
    const names = await namesIn(t, place);
    t.true(names.length > 0);
    place += names.at(-1)!;
  }
  t.true((await namesIn(t, place)).length > 0);
  const source = quotedPath(lab.source);
  const [set] = await namesIn(t, place);
  const docs = await namesIn(t, `${place}${set!}${source.slice(1)}/docs/`);
  t.true(docs.length >= 3);
  t.true((await namesIn(t, `/dav/me/Current${source}/docs/`)).includes('changes'));
  const versions = await namesIn(t, `/dav/me/versions${source}/docs/changes/`);
  t.true(versions.length >= 2);
  const contents = await Promise.all(
    versions.map(async (name) =>
      (await t.context.get(`/dav/me/versions${source}/docs/changes/${name}`)).text(),
    ),
  );
  t.is(new Set(contents).size, versions.length);
  t.true(contents.includes('changed in set 2'));
});

test('names of any bytes are listed and opened', async (t) => {
  const place = `/dav/me/first${quotedPath(lab.source)}/odd/`;
  const all = await namesIn(t, place);
  for (const odd of ODD_NAMES) {
    const shown = [...odd]
      .map((byte) => {
        const character = String.fromCodePoint(byte);
        const isPlain = byte < 0x80 && /[\w.~-]/.test(character);
        return isPlain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
      })
      .join('');
    t.true(
      all.some((name) => name.replace(/\/$/, '') === shown),
      shown,
    );
  }
});

test('contents have ranges and tags, and properties agree with them', async (t) => {
  const place = `/dav/me/first${quotedPath(lab.source)}/large`;
  const [self] = await propfind(t, place, '0');
  const { before } = lab.large;
  t.regex(self!.text, new RegExp(`<D:getcontentlength>${before.length}</D:getcontentlength>`));
  const whole = await t.context.get(place);
  t.true(Buffer.from(await whole.arrayBuffer()).equals(before));
  const etag = whole.headers.get('etag')!;
  t.true(self!.text.includes(etag.replaceAll('"', '&#34;')), self!.text);
  const part = await t.context.get(place, { headers: { range: 'bytes=500000-500999' } });
  t.is(part.status, 206);
  t.true(Buffer.from(await part.arrayBuffer()).equals(before.subarray(500_000, 501_000)));
  const same = await t.context.get(place, { headers: { 'if-none-match': etag } });
  t.is(same.status, 304);
  const head = await t.context.get(place, { method: 'HEAD' });
  t.is(head.headers.get('content-length'), String(before.length));
  t.is((await t.context.get(`${place}r`)).status, 404);
});

test('a large directory comes whole, and only named properties with a reason for the others', async (t) => {
  const body =
    '<?xml version="1.0"?><p:propfind xmlns:p="DAV:" xmlns:z="urn:z"><p:prop><p:resourcetype/><z:no/></p:prop></p:propfind>';
  const found = await propfind(t, `/dav/me/first${quotedPath(lab.source)}/many`, '1', body);
  t.is(found.length, MANY + 1);
  t.true(found[0]!.text.includes('<D:resourcetype><D:collection/></D:resourcetype>'));
  t.regex(found[1]!.text, /<D:resourcetype\/>.*200 OK.*<x:no xmlns:x="urn:z"\/>.*404 Not Found/s);
  t.false(found[1]!.text.includes('displayname'));
});

test('what would write is refused, and so are locks and infinite depth', async (t) => {
  const place = `/dav/me/first${quotedPath(lab.source)}/large`;
  for (const method of 'PUT POST DELETE MKCOL COPY MOVE PROPPATCH LOCK UNLOCK'.split(' ')) {
    const body = method === 'PUT' ? 'x'.repeat(1 << 20) : undefined;
    const answer = await t.context.get(place, { method, ...(body === undefined ? {} : { body }) });
    t.is(answer.status, 405, method);
    t.is(answer.headers.get('allow'), 'OPTIONS, GET, HEAD, PROPFIND');
    t.regex(await answer.text(), /read-only/);
  }
  for (const depth of ['infinity', 'Infinity', '2', '']) {
    const answer = await t.context.get('/dav/me/', { method: 'PROPFIND', headers: { depth } });
    t.is(answer.status, 403);
    t.regex(await answer.text(), /propfind-finite-depth/);
  }
  const options = await fetch(`${t.context.origin}/dav/`, { method: 'OPTIONS' });
  t.is(options.headers.get('dav'), '1');
});

test('nobody gets in without a login, and Basic carries a token', async (t) => {
  const ask = (headers: Record<string, string>, path = '/dav/me/'): Promise<Response> =>
    fetch(`${t.context.origin}${path}`, {
      method: 'PROPFIND',
      headers: { depth: '0', ...headers },
    });
  const basic = (token: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(`any:${token}`).toString('base64')}`,
  });
  const refused = await ask({});
  t.is(refused.status, 401);
  t.regex(refused.headers.get('www-authenticate')!, /^Basic /);
  const [lister, admin] = [await t.context.tokenOf('list'), await t.context.tokenOf('admin')];
  t.is((await ask(basic(lister))).status, 207);
  t.is((await ask(basic('other:all'))).status, t.context.isRemote ? 401 : 403);
  t.is((await ask(basic(t.context.token), '/dav/other/')).status, 403);
  t.is((await ask(basic(admin))).status, 403);
  const read = `/dav/me/first${quotedPath(lab.source)}/large`;
  const answer = await fetch(`${t.context.origin}${read}`, { headers: basic(lister) });
  t.is(answer.status, 403);
  for (const path of ['/dav/me/../../etc', '/dav/me/..%2f..%2fetc', '/dav/me/%00', '/dav/me/%zz']) {
    t.true([400, 404].includes((await ask(basic(t.context.token), path)).status), path);
  }
});

test('a client that encrypts is refused without its keys', async (t) => {
  const sealed = await openDoors(t, lab.place, { isSealed: true });
  const answer = await sealed.get('/dav/me/', { method: 'PROPFIND', headers: { depth: '0' } });
  t.is(answer.status, 409);
});

test('a body that is hostile or malformed is refused', async (t) => {
  const refused = [
    '<propfind/>',
    '<x:propfind><x:allprop/></x:propfind>',
    '<D:propfind xmlns:D="DAV:"><D:prop><E:x/></D:prop></D:propfind>',
    '<D:propfind xmlns:D="DAV:"><D:prop><E:x xmlns:E=""/></D:prop></D:propfind>',
    '<!DOCTYPE x [<!ENTITY a "b">]><D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>',
    '<D:propfind xmlns:D="DAV:"><D:allprop>&a;</D:allprop></D:propfind>',
    '<D:propfind xmlns:D="DAV:"><D:allprop/>',
    `${'<a>'.repeat(2000)}${'</a>'.repeat(2000)}`,
    '\0',
  ];
  for (const body of refused) {
    t.throws(() => propertiesIn(Buffer.from(body)), { message: /^the body/ }, body.slice(0, 80));
  }
  const large = `<D:propfind xmlns:D="DAV:">${' '.repeat(1 << 20)}<D:allprop/></D:propfind>`;
  const options = { method: 'PROPFIND', headers: { depth: '0' }, body: large };
  t.is((await t.context.get('/dav/me/', options)).status, 413);
  t.deepEqual(propertiesIn(Buffer.from('<propfind xmlns="DAV:"><prop><a/></prop></propfind>')), {
    kind: 'some',
    names: [{ namespace: 'DAV:', name: 'a' }],
  });
  await assert(
    asyncProperty(uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      try {
        propertiesIn(Buffer.from(bytes));
      } catch (error) {
        return error instanceof Error && error.message.startsWith('the body');
      }
      return true;
    }),
    { numRuns: 300 },
  );
});
