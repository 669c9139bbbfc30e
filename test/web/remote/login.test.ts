// Pace: slow
import anyTest, { type TestFn } from 'ava';
import {
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  string,
  tuple,
  uint8Array,
} from 'fast-check';
import path from 'node:path';
import { type RightName, RIGHTS } from '../../../src/model/index.js';
import { removeAccount } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { isQuestion, type MessageName, MESSAGES } from '../../../src/transport/index.js';
import { Sessions, SESSION_LIMITS } from '../../../src/web/remote/index.js';
import { rejectedCode } from '../../helpers/codes.js';
import { historyLabFor } from '../../helpers/history-lab.js';
import { openThroughWeb, startWeb, type WebServer } from '../../helpers/web-server.js';
import { giveToken } from '../../helpers/web-gateway.js';

const test = anyTest as TestFn<undefined>;

let web: WebServer;

const lab = historyLabFor(test, true, async ({ home, place }) => {
  web = await startWeb(home, place.store);
  return () => web.close();
});

test('a session ends when it is idle, old, or ended, and is forgotten beyond a number', (t) => {
  const clock = new ManualClock(0);
  const sessions = new Sessions(clock, { ...SESSION_LIMITS, most: 3, mostOfOne: 2 });
  const begin = (client: string): string =>
    sessions.begin({ client, account: '', keysHash: 'a' }).token;
  const first = begin('a');
  t.is(sessions.find(first)?.client, 'a');
  t.is(sessions.find(`${first}x`), undefined);
  clock.advance(SESSION_LIMITS.idleMs - 1);
  t.is(sessions.find(first)?.client, 'a');
  clock.advance(SESSION_LIMITS.idleMs);
  t.is(sessions.find(first), undefined);

  const second = begin('a');
  for (let ms = 0; ms < SESSION_LIMITS.lastingMs; ms += SESSION_LIMITS.idleMs / 2) {
    t.is(sessions.find(second)?.client, 'a');
    clock.advance(SESSION_LIMITS.idleMs / 2);
  }
  t.is(sessions.find(second), undefined);

  const [one, two, three] = [begin('a'), begin('a'), begin('a')];
  t.is(sessions.find(one), undefined);
  t.is(sessions.find(two)?.client, 'a');
  const [four, five] = [begin('b'), begin('c')];
  t.is(sessions.find(three), undefined);
  sessions.end(four);
  t.deepEqual([sessions.find(four), sessions.find(five)?.client], [undefined, 'c']);
});

test.serial(
  'a client that encrypts is read with its password, and refused with another one',
  async (t) => {
    const history = await openThroughWeb(web, 'me');
    t.true((await history.sets()).length > 0);
    t.not(history.contentKeys, undefined);
    history.close();
    const wrong = openThroughWeb(web, 'me', { password: 'not-the-one-77' });
    t.is(await rejectedCode(wrong), 'LOGIN_FAILED');
    t.is(await rejectedCode(openThroughWeb(web, 'nobody')), 'LOGIN_FAILED');
  },
);

/** Cases of one run; a soak has ten times as many. */
const RUNS = process.env['TEST_SHARE'] === '1' ? 10_000 : 300;

test('malformed requests get an error of the table, and the server goes on', async (t) => {
  const route = constantFrom(
    '/login/challenge',
    '/login/proof',
    '/login',
    '/session',
    '/clients',
    '/clients/me/questions',
    '/clients/me/sets',
    '/clients/%2e%2e/sets',
    '/clients/me/sets/1/content',
    '/clients/me/search',
    '/metrics',
  );
  const type = constantFrom('application/json', 'application/vnd.tardis', 'text/plain', 'a/b;c=;');
  const token = constantFrom('', 'Bearer x', 'Basic eDp5', 'Bearer me/a/b', 'Negotiate ///');
  const one = tuple(
    constantFrom('GET', 'POST', 'DELETE', 'HEAD', 'PUT', 'PROPFIND'),
    route,
    array(constantFrom('?', '&', '=', '%', '%00', '%zz', '..', '/', 'path', 'a', '+'), {
      maxLength: 8,
    }),
    type,
    token,
    uint8Array({ maxLength: 300 }),
    string({ maxLength: 20 }),
    integer({ min: 0, max: 3 }),
  );
  await assert(
    asyncProperty(one, async ([method, place, odd, mime, authorization, bytes, text, kind]) => {
      const json = Buffer.from(JSON.stringify({ greeting: text, login: text, proof: text }));
      const body = kind === 0 ? json : bytes;
      const headers = { 'content-type': mime, ...(authorization === '' ? {} : { authorization }) };
      const isBodied = method === 'POST' || method === 'DELETE' || method === 'PUT';
      const url = `/api/v1${place}${odd.join('')}`;
      const { app } = web;
      const answer = await app.inject({
        method: method as 'GET',
        url,
        headers: isBodied ? headers : { ...headers, 'content-type': undefined },
        ...(isBodied ? { payload: Buffer.from(body) } : {}),
      });
      t.true(answer.statusCode >= 400 && answer.statusCode < 500, `${method} ${url}`);
      if (method === 'HEAD') return;
      const problem = answer.json<{ code: string }>();
      t.regex(problem.code, /^[A-Z_]+$/);
    }),
    { numRuns: RUNS },
  );
  const health = await web.app.inject({ method: 'GET', url: '/api/v1/health' });
  t.is(health.statusCode, 200);
});

test.serial('a proof holds for its own connection', async (t) => {
  const real = web.door.logins;
  const prove = real.prove.bind(real);
  // The server sees another connection than the client, as behind a relay.
  real.prove = (id, message, channel) =>
    prove(id, message, { ...channel, keyingMaterial: Buffer.alloc(32, 7) });
  try {
    t.is(await rejectedCode(openThroughWeb(web, 'me')), 'LOGIN_FAILED');
  } finally {
    real.prove = prove;
  }
});

test.serial('a question is answered only with its right, and only if it reads', async (t) => {
  const system = nodeSystem();
  const directory = path.join(lab.place.store, 'me');
  const ask = async (name: MessageName, rights: readonly RightName[]) => {
    const token = await giveToken(lab.place, 'script', rights);
    // An empty head: the question is recognized, and cannot be decoded.
    const payload = Buffer.from([MESSAGES[name].number, 0, 0, 0, 0, 0, 0, 0]);
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/vnd.tardis' };
    const url = '/api/v1/clients/me/questions';
    const answer = await web.app.inject({ method: 'POST', url, headers, payload });
    return answer.json<{ code: string }>().code;
  };
  const changes = [
    'deleteSets',
    'markSets',
    'purgeSets',
    'changeSetting',
    'forgetPaths',
    'checkStore',
  ];
  for (const name of Object.keys(MESSAGES) as MessageName[]) {
    const { direction, right } = MESSAGES[name] as { direction: string; right?: RightName };
    if (direction !== 'to-server' || right === undefined || !isQuestion(name)) continue;
    const others = RIGHTS.filter((one) => one !== right);
    const without = await ask(name, others);
    const reads = without === 'NOT_PERMITTED';
    t.is(without, reads ? 'NOT_PERMITTED' : 'PROTOCOL_VIOLATION', name);
    if (changes.includes(name)) t.false(reads, name);
    t.is(await ask(name, RIGHTS), 'PROTOCOL_VIOLATION', name);
  }
  t.is(await ask('readObject', ['list']), 'NOT_PERMITTED');
  t.is(await ask('readClients', ['list', 'read']), 'NOT_PERMITTED');
  await removeAccount(system, directory, 'script');
});

test.serial('a session ends by request; the token of an account does not', async (t) => {
  const system = nodeSystem();
  const directory = path.join(lab.place.store, 'me');
  const lasting = await giveToken(lab.place, 'lasting', ['list']);
  const end = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await web.app.inject({ method: 'DELETE', url: '/api/v1/login', headers });
    return answer.statusCode;
  };
  t.is(await end(lasting), 403);
  t.is(await end(lasting), 403, 'it still logs in');
  await removeAccount(system, directory, 'lasting');
  t.is(await end(lasting), 401);
});
