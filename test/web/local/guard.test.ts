/** Tests which requests the user's own door answers. */
import test from 'ava';
import { requireHost } from '../../../src/system/index.js';
import { PAGE_HEADER } from '../../../src/web/api/index.js';
import { Entrance, requireOwn } from '../../../src/web/local/index.js';

const HOST = 'tabc.localhost:4711';
const HOSTS = new Set([HOST, '127.0.0.1:4711']);
const PLACE = { scheme: 'http', hosts: HOSTS } as const;
const OWN = { host: HOST, origin: `http://${HOST}`, [PAGE_HEADER]: '1' };

test('a token is exchanged once, and only its session is accepted', (t) => {
  const entrance = new Entrance();
  t.is(entrance.enter('wrong'), undefined);
  t.false(entrance.isSession('anything'));
  const session = entrance.enter(entrance.token);
  t.truthy(session);
  t.not(session, entrance.token);
  t.is(entrance.enter(entrance.token), undefined);
  t.true(entrance.isSession(session));
  for (const other of [undefined, '', `${session!}x`, entrance.token]) {
    t.false(entrance.isSession(other));
  }
});

test('sessions are many, end one by one, and are bounded', (t) => {
  const entrance = new Entrance();
  const sessions = Array.from({ length: 65 }, () => entrance.begin());
  t.deepEqual(
    sessions.map((session) => entrance.isSession(session)),
    sessions.map((_, index) => index > 0),
  );
  entrance.end(sessions[5]!);
  t.false(entrance.isSession(sessions[5]));
  t.true(entrance.isSession(sessions[6]));
});

test('over TLS a page of the same name without it is another site', (t) => {
  const place = { scheme: 'https', hosts: HOSTS } as const;
  const request = { method: 'POST', headers: { ...OWN, origin: `https://${HOST}` } };
  t.notThrows(() => requireOwn(request, place));
  t.throws(() => requireOwn({ method: 'POST', headers: OWN }, place), { code: 'NOT_PERMITTED' });
  const { host, ...others } = request.headers;
  t.notThrows(() =>
    requireOwn({ method: 'POST', headers: { ...others, ':authority': host } }, place),
  );
});

test('programs have a key of their own', (t) => {
  const entrance = new Entrance();
  t.true(entrance.isProgram(`Bearer ${entrance.programKey}`));
  const pair = Buffer.from(`anybody:${entrance.programKey}`).toString('base64');
  t.true(entrance.isProgram(`Basic ${pair}`)); // as OpenAPI has it
  const wrong = [undefined, '', 'Bearer', `Bearer ${entrance.token}`, entrance.programKey];
  for (const one of wrong) t.false(entrance.isProgram(one));
});

test('requests of the page itself and of programs are answered', (t) => {
  t.notThrows(() => requireOwn({ method: 'POST', headers: OWN }, PLACE));
  t.notThrows(() => requireOwn({ method: 'GET', headers: { host: '127.0.0.1:4711' } }, PLACE));
  for (const site of ['same-origin', 'none']) {
    const headers = { host: HOST, 'sec-fetch-site': site };
    t.notThrows(() => requireOwn({ method: 'GET', headers }, PLACE));
  }
});

test('requests for other hosts, of other sites, or without the header are refused', (t) => {
  const refused: [method: string, headers: Record<string, string>][] = [
    ['GET', {}],
    ['GET', { host: 'evil.example' }],
    ['GET', { host: 'evil.example:4711' }],
    ['GET', { host: '127.0.0.1:4712' }],
    ['GET', { host: `${HOST}.evil.example` }],
    ['GET', { host: HOST, origin: 'http://evil.example' }],
    ['GET', { host: HOST, origin: 'http://127.0.0.1:4711' }],
    ['GET', { host: HOST, origin: 'null' }],
    ['GET', { host: HOST, origin: `https://${HOST}` }],
    ['GET', { host: HOST, 'sec-fetch-site': 'cross-site' }],
    ['GET', { host: HOST, 'sec-fetch-site': 'same-site' }],
    ['POST', { host: HOST, origin: `http://${HOST}` }],
    ['DELETE', { host: HOST }],
  ];
  for (const [method, headers] of refused) {
    t.throws(() => requireOwn({ method, headers }, PLACE), { code: 'NOT_PERMITTED' });
  }
  for (const host of ['evil.example', undefined]) {
    t.throws(() => requireHost(host, HOSTS), { code: 'NOT_PERMITTED' });
  }
});
