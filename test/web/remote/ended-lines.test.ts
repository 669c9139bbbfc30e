/** A server ends its connection at the very moment at which a request needs it: the request is answered over another one. */
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import anyTest, { type TestFn } from 'ava';
import { archiveRoute } from '../../../src/web/archive/index.js';
import { registerDav } from '../../../src/web/dav/index.js';
import { removeAccount } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { Link } from '../../helpers/link.js';
import { historyLabFor } from '../../helpers/history-lab.js';
import { quotedPath } from '../../helpers/web-doors.js';
import {
  type Gateway,
  giveToken,
  openGateway,
  startOverTls,
  type TlsServer,
} from '../../helpers/web-gateway.js';

const test = anyTest as TestFn<undefined>;
const SETS = '/api/v1/clients/me/sets';

let server: TlsServer;

const lab = historyLabFor(test, false, async ({ home, place }) => {
  server = await startOverTls(home, place.store);
  return () => server.stop();
});

async function behindRelay(t: ExecutionContext): Promise<{ gateway: Gateway; relay: Link }> {
  const { address, tls } = server;
  const relay = await Link.during(t, address.kind === 'tcp' ? address.port : 0);
  const near = { kind: 'tcp', host: '127.0.0.1', port: relay.port } as const;
  const added = [archiveRoute({ onError: () => undefined })];
  const gateway = await openGateway({ address: near, tls }, { added, more: registerDav });
  t.teardown(() => gateway.close());
  return { gateway, relay };
}

async function ask({ app }: Gateway, token: string, url: string, method = 'GET') {
  const headers = { authorization: `Bearer ${token}`, depth: '1' };
  const { statusCode, body } = await app.inject({ method: method as 'GET', url, headers });
  return { status: statusCode, body };
}

const routes: readonly (readonly [what: string, url: () => string, method?: string])[] = [
  ['the sets', () => SETS],
  ['the clients', () => '/api/v1/clients'],
  ['a directory', () => `${SETS}/1/directory?path=${quotedPath(lab.source)}`],
  ['a content', () => `${SETS}/1/content?path=${quotedPath(path.join(lab.source, 'large'))}`],
  ['an archive', () => `${SETS}/1/archive?format=tar&path=${quotedPath(lab.source)}/docs`],
  ['WebDAV', () => `/dav/me/Current${quotedPath(lab.source)}/`, 'PROPFIND'],
];

const withoutNumbers = (body: string): string => body.replaceAll(/\d+/g, '0');

for (const [what, url, method] of routes) {
  test(`a connection that ends as it is used costs no answer: ${what}`, async (t) => {
    const { gateway, relay } = await behindRelay(t);
    const token = await giveToken(lab.place, `once-${what.replaceAll(' ', '-')}`, ['list', 'read']);
    const whole = await ask(gateway, token, url(), method);
    t.true(whole.status < 300, whole.body);
    const before = relay.connections;
    relay.cutNext();
    const again = await ask(gateway, token, url(), method);
    t.is(again.status, whole.status, again.body);
    t.true(withoutNumbers(again.body) === withoutNumbers(whole.body)); // free space changes meanwhile
    t.is(relay.connections, before + 1);
    t.is(gateway.door.openCount, 1);
  });
}

test('a server that ends each connection gives 503, and is not tried for ever', async (t) => {
  const { gateway, relay } = await behindRelay(t);
  const token = await giveToken(lab.place, 'always', ['list', 'read']);
  t.is((await ask(gateway, token, SETS)).status, 200);
  const before = relay.connections;
  relay.cutNext(100);
  t.is((await ask(gateway, token, SETS)).status, 503);
  t.true(relay.connections - before <= 4, `${relay.connections - before} connections`);
});

test('what was removed meanwhile is refused when the request is answered again', async (t) => {
  const { gateway, relay } = await behindRelay(t);
  const token = await giveToken(lab.place, 'removed', ['list', 'read']);
  t.is((await ask(gateway, token, SETS)).status, 200);
  await removeAccount(nodeSystem(), path.join(lab.place.store, 'me'), 'removed');
  relay.cutNext();
  t.is((await ask(gateway, token, SETS)).status, 401);
});
