/** Limits of connections and of bodies, for peers that do not log in or that send a byte now and then. */
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import type { FastifyReply } from 'fastify';
import {
  inPlace,
  keepPlace,
  newWebApp,
  type WebApp,
  type WebLimits,
} from '../../../src/web/api/index.js';
import { certificateIn } from '../../helpers/certificates.js';
import { scratchInMemory } from '../../helpers/scratch.js';

/** Maximum number of attempts to log in before the deadline. */
const MOST_TRIES = 20;

/** Listens with small limits. `/own` is a route whose requests count as logged in. */
async function serve(
  t: ExecutionContext,
  limits: Partial<WebLimits>,
  isSecure = false,
  work: () => unknown = () => undefined,
): Promise<{ app: WebApp; port: number }> {
  const certificate = isSecure ? await certificateIn(scratchInMemory(t)) : undefined;
  const app = newWebApp({ tls: certificate, onError: () => undefined, limits });
  app.route({ method: ['GET', 'POST'], url: '/open', handler: async () => ({}) });
  const onRequest = async (request: { visitor: unknown }): Promise<void> => {
    request.visitor = { client: 'me', account: '', rights: new Set() };
  };
  app.get('/own', { onRequest }, async () => ({}));
  app.get('/work', { onRequest }, async () => {
    work();
    return {};
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  return { app, port: (app.server.address() as AddressInfo).port };
}

/** Connects, requests a route if one is given, and waits for the answer, or for the end of the connection. */
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
    const answered = new Promise<void>((resolve) => socket.once('data', () => resolve()));
    socket.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await Promise.race([answered, closed]);
  }
  return { socket, closed };
}

test('a connection over which nobody logs in ends at its deadline', async (t) => {
  const gate = { deadlineMs: 300, maxWaiting: 8, maxPerAddress: 8 };
  const { port } = await serve(t, { gate });
  let own = await connected(t, port, '/own');
  // On a busy machine the deadline may pass before the request is read.
  for (let tries = 1; own.socket.closed && tries < MOST_TRIES; tries += 1) {
    own = await connected(t, port, '/own');
  }
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

const REQUESTS = 1500;

/** Returns a frame of HTTP/2. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Returns the bytes of a connection that makes requests of `/work`, and withdraws each at once. */
function withdrawn(requests: number): Buffer {
  const literal = (name: number, text: string): Buffer =>
    Buffer.concat([Buffer.of(name, text.length), Buffer.from(text)]);
  const headers = Buffer.concat([Buffer.of(0x82, 0x87), literal(1, 'x'), literal(4, '/work')]);
  const cancel = Buffer.of(0, 0, 0, http2.constants.NGHTTP2_CANCEL);
  const frames = Array.from({ length: requests }, (_, index) => [
    frame(1, 5, 2 * index + 1, headers),
    frame(3, 0, 2 * index + 1, cancel),
  ]);
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  return Buffer.concat([preface, frame(4, 0, 0, Buffer.alloc(0)), ...frames.flat()]);
}

test('a connection that withdraws many requests is ended, and others are served meanwhile', async (t) => {
  let works = 0;
  const { port } = await serve(t, {}, true, () => (works += 1));
  const other = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  t.teardown(() => other.destroy());
  await new Promise((resolve) => other.once('remoteSettings', resolve));
  const options = { port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false };
  const socket = tls.connect(options);
  t.teardown(() => socket.destroy());
  socket.on('error', () => undefined); // its end is waited for
  socket.resume();
  const ended = new Promise((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  socket.write(withdrawn(REQUESTS));
  const stream = other.request({ ':path': '/own' });
  await new Promise((resolve) => stream.once('response', resolve));
  const worksBefore = works;
  stream.resume();
  await ended;
  t.true(worksBefore < REQUESTS / 10, `${worksBefore} requests were worked on before another one`);
  t.true(works < REQUESTS / 10, `${works} requests were worked on`);
});

test('a request keeps its place until its handler has ended', async (t) => {
  let [left, isClosed] = [0, (): void => undefined];
  const raw = {
    destroyed: false,
    once: (_: string, listener: () => void) => (isClosed = listener),
  };
  const reply = { raw } as unknown as FastifyReply;
  keepPlace(reply, () => (left += 1));
  let end = (): void => undefined;
  const work = inPlace(reply, () => new Promise<void>((resolve) => (end = resolve)));
  isClosed();
  t.is(left, 0, 'the requester has gone, and the handler runs');
  end();
  await work;
  t.is(left, 1);
});
