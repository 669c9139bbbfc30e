/** Tests which requests the user's own door answers. */
import test from 'ava';
import { requireHost } from '../../../src/system/index.js';
import { Entrance, PAGE_HEADER, requireOwn } from '../../../src/web/local/index.js';

const HOST = 'tabc.localhost:4711';
const HOSTS = new Set([HOST, '127.0.0.1:4711']);
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

test('programs have a key of their own', (t) => {
  const entrance = new Entrance();
  t.true(entrance.isProgram(`Bearer ${entrance.programKey}`));
  const wrong = [undefined, '', 'Bearer', `Bearer ${entrance.token}`, entrance.programKey];
  for (const one of wrong) t.false(entrance.isProgram(one));
});

test('requests of the page itself and of programs are answered', (t) => {
  t.notThrows(() => requireOwn({ method: 'POST', headers: OWN }, HOSTS));
  t.notThrows(() => requireOwn({ method: 'GET', headers: { host: '127.0.0.1:4711' } }, HOSTS));
  for (const site of ['same-origin', 'none']) {
    const headers = { host: HOST, 'sec-fetch-site': site };
    t.notThrows(() => requireOwn({ method: 'GET', headers }, HOSTS));
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
    t.throws(() => requireOwn({ method, headers }, HOSTS), { code: 'NOT_PERMITTED' });
  }
  for (const host of ['evil.example', undefined]) {
    t.throws(() => requireHost(host, HOSTS), { code: 'NOT_PERMITTED' });
  }
});
