// Pace: slow
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import anyTest, { type TestFn } from 'ava';
import { assert, asyncProperty, boolean, integer } from 'fast-check';
import { ROUTES } from '../../../src/web/api/index.js';
import type { Directory, Entry } from '../../../src/web/api/index.js';
import {
  type HistoryLab,
  makeHistoryLab,
  MANY,
  ODD_NAMES,
  openHere,
  openThere,
  removeHistoryLab,
} from '../../helpers/history-lab.js';
import { giveToken, openGateway, startOverTls } from '../../helpers/web-gateway.js';
import { makeWebLab, type WebLab } from '../../helpers/web-lab.js';

const test = anyTest as TestFn<undefined>;
const ALL = 'me:all';

let lab: HistoryLab;
let webs: Readonly<Record<string, Pick<WebLab, 'app' | 'close'>>>;
/** A token of each way that is a program in front of a server, by the rights that it has; `all` for all of them. */
const tokens = new Map<string, string>();

test.before(async () => {
  lab = await makeHistoryLab(false);
  webs = {
    local: await makeWebLab('me', () => openHere(lab, 'me')),
    remote: await makeWebLab('me', () => openThere(lab, 'me')),
    sealed: await makeWebLab('me', () => openHere(lab, 'me'), true),
    ...(await startGateways()),
  };
});

/** Starts programs in front of the servers of a client that does not encrypt, and of one that does. */
async function startGateways(): Promise<Record<string, Pick<WebLab, 'app' | 'close'>>> {
  const sealed = await makeHistoryLab(true);
  const [plainServer, sealedServer] = [
    await startOverTls(lab.home, lab.place.store),
    await startOverTls(sealed.home, sealed.place.store),
  ];
  const rights = ['list', 'read', 'admin'] as const;
  tokens.set('gateway all', await giveToken(lab.place, 'all', rights));
  tokens.set('sealed gateway all', await giveToken(sealed.place, 'all', rights));
  for (const right of rights) {
    const others = rights.filter((one) => one !== right);
    tokens.set(`gateway but ${right}`, await giveToken(lab.place, `but-${right}`, others));
  }
  const gateway = await openGateway(plainServer);
  const other = await openGateway(sealedServer);
  return {
    gateway: {
      app: gateway.app,
      close: async () => {
        await gateway.close();
        await plainServer.stop();
      },
    },
    'sealed gateway': {
      app: other.app,
      close: async () => {
        await other.close();
        await sealedServer.stop();
        await removeHistoryLab(sealed);
      },
    },
  };
}
test.after.always(async () => {
  for (const web of Object.values(webs)) await web.close();
  await removeHistoryLab(lab);
});

/** Returns the percent-encoding of each byte. */
function quoted(bytes: string | Buffer): string {
  return [...Buffer.from(bytes)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

function at(...names: (string | Buffer)[]): string {
  const parts = [Buffer.from(lab.source), ...names.map((name) => Buffer.from(name))];
  return quoted(Buffer.concat(parts.flatMap((part, index) => (index ? [SLASH, part] : [part]))));
}
const SLASH = Buffer.from('/');

async function get(way: string, url: string, headers: Record<string, string> = {}) {
  const { app } = webs[way]!;
  const own = { authorization: `Bearer ${tokens.get(`${way} all`) ?? ALL}` };
  return app.inject({ method: 'GET', url: `/api/v1${url}`, headers: { ...own, ...headers } });
}

async function json<T>(t: ExecutionContext, way: string, url: string): Promise<T> {
  const answer = await get(way, url);
  t.is(answer.statusCode, 200, answer.body);
  return answer.json();
}

for (const way of ['local', 'remote', 'gateway']) {
  test(`${way}: sets come newest first, and one by number, name or latest`, async (t) => {
    const { sets } = await json<{ sets: { set: number; name: string }[] }>(
      t,
      way,
      '/clients/me/sets',
    );
    t.deepEqual(
      sets.map(({ set }) => set),
      [7, 6, 5, 3, 2, 1],
    );
    for (const [text, number] of [
      ['1', 1],
      ['first', 1],
      ['latest', 6],
    ] as const) {
      t.is((await json<{ set: number }>(t, way, `/clients/me/sets/${text}`)).set, number);
    }
    t.is((await get(way, '/clients/me/sets/99')).statusCode, 404);
    const { roots } = await json<{ roots: object[] }>(t, way, '/clients/me/sets/1/roots');
    t.deepEqual(roots, [{ path: lab.other }, { path: lab.source }]);
  });

  test(`${way}: pages of a directory make the whole of it, in each order`, async (t) => {
    const whole = await json<Directory>(
      t,
      way,
      `/clients/me/sets/1/directory?path=${at('many')}&limit=10000`,
    );
    t.is(whole.entries.length, MANY);
    t.is(whole.next, undefined);
    for (const sort of ['name', 'natural', 'size', 'modified']) {
      for (const order of ['asc', 'desc']) {
        const names: string[] = [];
        let after = '';
        do {
          const url = `/clients/me/sets/1/directory?path=${at('many')}&limit=7&sort=${sort}&order=${order}${after}`;
          const page: Directory = await json(t, way, url);
          names.push(...page.entries.map(({ name }) => name));
          after = page.next === undefined ? '' : `&after=${quoted(page.next)}`;
        } while (after !== '');
        t.is(names.length, MANY, `${sort} ${order}`);
        t.is(new Set(names).size, MANY, `${sort} ${order}`);
        if (sort === 'name' && order === 'desc') t.deepEqual(names, names.toSorted().reverse());
        const end = `sort=${sort}&order=${order}&limit=7&after=${MANY - 3}`;
        const last: Directory = await json(
          t,
          way,
          `/clients/me/sets/1/directory?path=${at('many')}&${end}`,
        );
        t.is(last.total, MANY);
        t.deepEqual(
          last.entries.map(({ name }) => name),
          names.slice(-3),
        );
      }
    }
  });

  test(`${way}: entries of any name are shown, and their contents read by their bytes`, async (t) => {
    const { entries } = await json<Directory>(
      t,
      way,
      `/clients/me/sets/1/directory?path=${at('odd')}`,
    );
    const names = entries.map(({ name, nameBytes }) =>
      nameBytes === undefined ? Buffer.from(name) : Buffer.from(nameBytes, 'base64'),
    );
    t.deepEqual(names, ODD_NAMES.toSorted(Buffer.compare));
    for (const name of ODD_NAMES) {
      const answer = await get(way, `/clients/me/sets/1/content?path=${at('odd', name)}`);
      t.is(answer.statusCode, 200, answer.body);
      t.deepEqual(answer.rawPayload, name);
      t.regex(String(answer.headers['content-disposition']), /^attachment; filename="[ -~]*"; /);
    }
  });

  test(`${way}: an entry has its digest, target and times`, async (t) => {
    const link = await json<Entry>(t, way, `/clients/me/sets/1/entry?path=${at('nowhere')}`);
    t.deepEqual(
      [link.type, link.target, link.targetBytes],
      ['symlink', '/\ufffd', Buffer.from([0x2f, 0xff]).toString('base64')],
    );
    const file = await json<Entry>(t, way, `/clients/me/sets/1/entry?path=${at('large')}`);
    t.is(file.sizeBytes, lab.large.before.length);
    t.regex(file.digest ?? '', /^[0-9a-f]{64}$/);
    t.regex(file.modifiedNs, /^\d{19}$/);
    const root = await json<Entry>(t, way, `/clients/me/sets/1/entry?path=${at()}`);
    t.is(root.name, path.basename(lab.source));
  });

  test(`${way}: versions of a path come oldest first`, async (t) => {
    const url = `/clients/me/versions?path=${at('docs', 'changes')}`;
    const { versions } = await json<{ versions: { firstSet: number }[] }>(t, way, url);
    t.deepEqual(
      versions.map(({ firstSet }) => firstSet),
      [1, 2],
    );
  });

  test(`${way}: a content is as it was, sparse ones and changed ones too`, async (t) => {
    const read = async (set: number, name: string): Promise<Buffer> => {
      const answer = await get(way, `/clients/me/sets/${set}/content?path=${at(name)}`);
      t.is(answer.statusCode, 200);
      t.is(Number(answer.headers['content-length']), answer.rawPayload.length);
      return answer.rawPayload;
    };
    t.true((await read(1, 'large')).equals(lab.large.before));
    t.true((await read(2, 'large')).equals(lab.large.after));
    t.is((await read(1, 'empty')).length, 0);
    t.is((await read(1, 'sparse')).length, lab.sparseBytes);
  });

  test(`${way}: any range of a content is that part of it`, async (t) => {
    const url = `/clients/me/sets/2/content?path=${at('large')}`;
    const whole = lab.large.after;
    const place = integer({ min: 0, max: whole.length + 10 });
    await assert(
      asyncProperty(place, place, boolean(), async (one, other, isOpen) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        const answer = await get(way, url, { range: `bytes=${from}-${isOpen ? '' : to}` });
        if (from >= whole.length) {
          t.is(answer.statusCode, 416);
          return;
        }
        const end = isOpen ? whole.length : Math.min(to + 1, whole.length);
        t.is(answer.statusCode, 206);
        t.is(answer.headers['content-range'], `bytes ${from}-${end - 1}/${whole.length}`);
        t.true(answer.rawPayload.equals(whole.subarray(from, end)));
      }),
      { numRuns: 40 },
    );
    const tail = await get(way, url, { range: 'bytes=-100' });
    t.true(tail.rawPayload.equals(whole.subarray(-100)));
  });
}

test('several ranges come as parts; malformed and greedy ones are ignored', async (t) => {
  const url = `/clients/me/sets/2/content?path=${at('large')}`;
  const whole = lab.large.after;
  const two = await get('local', url, { range: 'bytes=0-9,100-109' });
  t.is(two.statusCode, 206);
  t.is(Number(two.headers['content-length']), two.rawPayload.length);
  t.true(two.rawPayload.includes(whole.subarray(100, 110)));
  const greedy = Array(10).fill('0-').join(',');
  for (const range of ['bytes=5-1', 'lines=0-9', 'bytes=a-b', `bytes=${greedy}`, 'bytes=']) {
    const answer = await get('local', url, { range });
    t.is(answer.statusCode, 200, range);
    t.is(answer.rawPayload.length, whole.length);
  }
});

test('conditions: If-None-Match, If-Range and HEAD', async (t) => {
  const url = `/clients/me/sets/2/content?path=${at('large')}`;
  const first = await get('local', url, { range: 'bytes=0-0' });
  const etag = String(first.headers['etag']);
  t.is((await get('local', url, { 'if-none-match': `"x", ${etag}` })).statusCode, 304);
  t.is((await get('local', url, { 'if-none-match': '"x"' })).statusCode, 200);
  const ranged = { range: 'bytes=0-9' };
  t.is((await get('local', url, { ...ranged, 'if-range': etag })).statusCode, 206);
  t.is((await get('local', url, { ...ranged, 'if-range': '"x"' })).statusCode, 200);
  const head = await webs['local']!.app.inject({
    method: 'HEAD',
    url: `/api/v1${url}`,
    headers: { authorization: `Bearer ${ALL}` },
  });
  t.is(head.statusCode, 200);
  t.is(Number(head.headers['content-length']), lab.large.after.length);
  t.is(head.rawPayload.length, 0);
});

test('paths that lead elsewhere and malformed queries are refused', async (t) => {
  for (const query of [
    'path=relative',
    'path=/a/../b',
    'path=/a/.',
    'path=/%2e%2e/etc',
    'path=/a%00b',
    'path=/a%0',
    'path=/a%zz',
    'path=',
    '',
    'path=/a&path=/b',
    'path=/a&other=1',
  ]) {
    const answer = await get('local', `/clients/me/sets/1/entry?${query}`);
    t.is(answer.statusCode, 400, query);
    t.is(answer.json<{ code: string }>().code, 'REQUEST_INVALID', query);
    t.regex(String(answer.headers['content-type']), /^application\/problem\+json/);
  }
  t.is((await get('local', '/nothing')).statusCode, 404);
});

/** Returns the URL of a route, with a query that its schema accepts. */
function urlOf(route: string, client: string): string {
  const base = `/api/v1${route.replace('{client}', client).replace('{set}', '1')}`;
  return `${base}?path=${at()}`;
}

/** Returns a query with the values that a schema requires. */
function queryOf(schema: object): string {
  const { required = [], properties } = schema as {
    required?: string[];
    properties: Record<string, { default?: unknown }>;
  };
  return required
    .filter((name) => properties[name]?.default === undefined)
    .map((name) => `${name}=${name === 'path' ? at() : '1'}`)
    .join('&');
}

for (const [name, row] of Object.entries(ROUTES)) {
  test(`a route is refused without a login, for another client, and without its right: ${name}`, async (t) => {
    const { app } = webs['local']!;
    const ask = async (login: string | undefined, client = 'me'): Promise<number> => {
      const headers = login === undefined ? {} : { authorization: `Bearer ${login}` };
      const answer = await app.inject({
        method: row.method,
        url: urlOf(row.path, client),
        headers,
      });
      return answer.statusCode;
    };
    const { right } = row as { right: string };
    if (right === 'none') {
      t.not(await ask(undefined), 401);
      return;
    }
    t.is(await ask(undefined), 401);
    t.is(await ask('nonsense'), 401);
    if (row.path.includes('{client}')) {
      t.is(await ask('other:all'), 403);
      t.is(await ask('me:all', 'other'), 403);
    }
    if (right !== 'login') {
      const others = ['list', 'read', 'admin', 'add', 'purge'].filter((word) => word !== right);
      t.is(await ask(`me:${others.join(',')}`), 403);
    }
  });

  test(`in front of a server, a route is refused without a token, for another client, and without its right: ${name}`, async (t) => {
    const { app } = webs['gateway']!;
    const { method, path: route, right } = row as { method: 'GET'; path: string; right: string };
    const ask = async (token: string | undefined, client = 'me'): Promise<number> => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return (await app.inject({ method, url: urlOf(route, client), headers })).statusCode;
    };
    if (right === 'none') {
      t.not(await ask(undefined), 401);
      return;
    }
    t.is(await ask(undefined), 401);
    t.is(await ask('nonsense'), 401);
    t.is(await ask(`${tokens.get('gateway all')!.slice(0, -4)}AAAA`), 401);
    if (route.includes('{client}')) t.is(await ask(tokens.get('gateway all'), 'other'), 403);
    if (right !== 'login') t.is(await ask(tokens.get(`gateway but ${right}`)), 403);
  });

  if (!('isClear' in row)) continue;
  for (const way of ['sealed', 'sealed gateway']) {
    test(`${way}: a route is refused where the client encrypts and the program has no keys: ${name}`, async (t) => {
      const query = 'query' in row ? `?${queryOf(row.query)}` : '';
      const url = row.path.replace('{client}', 'me').replace('{set}', '1');
      const answer = await get(way, `${url}${query}`);
      t.is(answer.statusCode, 409, answer.body);
      t.is(answer.json<{ code: string }>().code, 'SEALED');
    });
  }
}
