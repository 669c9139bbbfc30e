/** The address that a request counts for, behind proxies and with hostile headers. */
import test from 'ava';
import { assert, array, asyncProperty, constantFrom, ipV4, ipV6, oneof, string } from 'fast-check';
import { addressOf, newWebApp, trusting, type WebApp } from '../../../src/web/api/index.js';
import { rejectedCode } from '../../helpers/codes.js';

const PROXY = '192.0.2.9';
const TRUSTED = [PROXY, '10.1.0.0/16', 'fd00::/8'];

function appWith(trustedProxies: readonly string[]): WebApp {
  const app = newWebApp({ onError: () => undefined, trustedProxies });
  app.get('/address', (request) => ({ address: addressOf(request) }));
  return app;
}

async function ask(
  app: WebApp,
  header: string | readonly string[] | undefined,
  remoteAddress = PROXY,
): Promise<string> {
  const headers = header === undefined ? {} : { 'x-forwarded-for': header as string };
  const answer = await app.inject({ method: 'GET', url: '/address', headers, remoteAddress });
  return answer.json<{ address: string }>().address;
}

test('clients behind a proxy of TrustedProxies are counted one by one', async (t) => {
  const app = appWith(TRUSTED);
  t.is(await ask(app, '203.0.113.5'), '203.0.113.5');
  t.is(await ask(app, '203.0.113.5, 10.1.2.3'), '203.0.113.5'); // two proxies, one behind the other
  t.is(await ask(app, '198.51.100.1, 203.0.113.5, fd00::1'), '203.0.113.5'); // the left one was sent
  t.is(await ask(app, '10.1.2.3, 203.0.113.5'), '203.0.113.5');
  t.is(await ask(app, '2001:db8:1:2:3::4'), '2001:db8:1:2');
  t.is(await ask(app, '::ffff:203.0.113.5'), '203.0.113.5');
  t.is(await ask(app, '203.0.113.5', '::ffff:192.0.2.9'), '203.0.113.5');
  t.is(await ask(app, '10.1.9.9, 10.1.2.3'), '10.1.9.9'); // all are trusted: the leftmost
  t.is(await ask(app, ',, 203.0.113.5 ,\t, 10.1.2.3 ,'), '203.0.113.5');
  t.is(await ask(app, undefined), PROXY);
});

test('X-Forwarded-For of anybody else is ignored', async (t) => {
  t.is(await ask(appWith(TRUSTED), '203.0.113.5', '198.51.100.7'), '198.51.100.7');
  t.is(await ask(appWith([]), '203.0.113.5'), PROXY);
});

test('values that are no address count for the proxy', async (t) => {
  const app = appWith(TRUSTED);
  const values = [
    'unknown',
    '203.0.113.5:80',
    '[2001:db8::1]:443',
    '_hidden',
    '1',
    '0x7f.1',
    '08.1.1.1',
  ];
  for (const value of [...values, '203.0.113.5;', '"', "' or 1", '9'.repeat(9000)]) {
    t.is(await ask(app, value), PROXY, value);
    t.is(await ask(app, `203.0.113.5, ${value}`), PROXY, value);
  }
  t.is(await ask(app, ''), PROXY);
  t.is(await ask(app, ' , '), PROXY);
});

test('what stands left of an untrusted address never counts', async (t) => {
  const app = appWith(TRUSTED);
  const hostile = oneof(
    ipV4(),
    ipV6(),
    constantFrom(PROXY, '10.1.2.3', 'unknown', '::1', '127.0.0.1', ''),
    string({ maxLength: 20 }).map((text) => text.replaceAll(/[^ -~]/g, '?')),
  );
  await assert(
    asyncProperty(array(hostile, { maxLength: 12 }), async (left) => {
      const header = [...left, '203.0.113.5', '10.1.2.3'].join(', ');
      t.is(await ask(app, header), '203.0.113.5', header);
    }),
    { numRuns: 300 },
  );
});

test('a proxy is an address or a block of them', async (t) => {
  const wrong = [
    '',
    'proxy',
    '10.0.0.0/0',
    '10.0.0.0/33',
    '::/0',
    '::1/129',
    '10.0.0/8',
    '1.2.3.4/',
    '1.2.3.4/8/8',
    'fe80::1%eth0',
    '10.0.0.0/255.0.0.0',
  ];
  for (const text of wrong) {
    const made = Promise.resolve().then(() => trusting([text]));
    t.is(await rejectedCode(made), 'CONFIG_INVALID', text);
  }
});
