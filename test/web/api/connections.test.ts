/** Limits of connections and of bodies, for peers that do not log in or that send a byte now and then. */
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { newWebApp, type WebApp, type WebLimits } from '../../../src/web/api/index.js';
import { certificateIn } from '../../helpers/certificates.js';
import { scratchInMemory } from '../../helpers/scratch.js';

/** Listens with small limits. `/own` is a route whose requests count as logged in. */
async function serve(
  t: ExecutionContext,
  limits: Partial<WebLimits>,
  isSecure = false,
): Promise<{ app: WebApp; port: number }> {
  const tls = isSecure ? await certificateIn(scratchInMemory(t)) : undefined;
  const app = newWebApp({ tls, onError: () => undefined, limits });
  app.route({ method: ['GET', 'POST'], url: '/open', handler: async () => ({}) });
  const onRequest = async (request: { visitor: unknown }): Promise<void> => {
    request.visitor = { client: 'me', account: '', rights: new Set() };
  };
  app.get('/own', { onRequest }, async () => ({}));
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  return { app, port: (app.server.address() as AddressInfo).port };
}

/** Connects, and requests a route if one is given. */
async function connected(
  t: ExecutionContext,
  port: number,
  url = '',
): Promise<{ socket: net.Socket; closed: Promise<void> }> {
  const socket = net.connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  socket.on('error', () => undefined); // its end is waited for
  await new Promise((resolve) => socket.once('connect', resolve));
  if (url !== '') {
    const answered = new Promise((resolve) => socket.once('data', resolve));
    socket.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await answered;
  }
  return { socket, closed };
}

test('a connection over which nobody logs in ends at its deadline', async (t) => {
  const gate = { deadlineMs: 300, maxWaiting: 8, maxPerAddress: 8 };
  const { port } = await serve(t, { gate });
  const own = await connected(t, port, '/own');
  const strangers = [await connected(t, port), await connected(t, port, '/open')];
  for (const { closed } of strangers) await closed;
  t.false(own.socket.closed);
});

test('too many connections without a login cost the oldest of them', async (t) => {
  const gate = { deadlineMs: 60_000, maxWaiting: 3, maxPerAddress: 3 };
  const { port } = await serve(t, { gate });
  const own = await connected(t, port, '/own');
  const first = await connected(t, port, '/open');
  const others = [];
  for (let count = 0; count < 3; count += 1) others.push(await connected(t, port, '/open'));
  await first.closed;
  t.false(own.socket.closed);
  for (const { socket } of others) t.false(socket.closed);
});

test('over HTTP/2 a body that does not come ends its request', async (t) => {
  const { port } = await serve(t, { bodyMs: 300 }, true);
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  t.teardown(() => session.destroy());
  const headers = { ':method': 'POST', 'content-type': 'application/json' };
  const slow = session.request({ ...headers, ':path': '/open' });
  slow.on('error', () => undefined); // its code is looked at
  slow.write('{"a":');
  await new Promise((resolve) => slow.once('close', resolve));
  t.is(slow.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);
  const quick = session.request({ ...headers, ':path': '/open' });
  const status = new Promise((resolve) =>
    quick.once('response', (reported) => resolve(reported[':status'])),
  );
  quick.end('{}');
  t.is(await status, 200);
});
