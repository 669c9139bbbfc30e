/** Tests that an answer gives back what it holds if its requester goes away, even before it holds it. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { Writable } from 'node:stream';
import test from 'ava';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { whenClosed } from '../../../src/web/api/index.js';
import { until } from '../../helpers/until.js';

interface Waiting {
  readonly reply: FastifyReply;
  readonly goOn: () => void;
}

/** A server whose handler waits until the test lets it go on. */
async function waitingServer(isHttp2: boolean) {
  let arrived!: (waiting: Waiting) => void;
  const arrival = new Promise<Waiting>((resolve) => {
    arrived = resolve;
  });
  let ended!: () => void;
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const made: unknown = isHttp2 ? fastify({ http2: true }) : fastify();
  const app = made as FastifyInstance;
  app.get('/', async (_, reply) => {
    await new Promise<void>((resolve) => arrived({ reply, goOn: resolve }));
    whenClosed(reply, ended);
    return '';
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, arrival, end, port: (app.server.address() as AddressInfo).port };
}

async function gone({ reply }: Waiting): Promise<void> {
  const { raw } = reply;
  const isOver = (): boolean =>
    raw.destroyed || ('stream' in raw && (raw.stream as Socket).destroyed);
  await until(isOver);
}

test('an answer of HTTP/1 whose requester went away before', async (t) => {
  const { app, arrival, end, port } = await waitingServer(false);
  const request = http.get({ host: '127.0.0.1', port });
  request.on('error', () => undefined); // it is ended here
  const waiting = await arrival;
  request.destroy();
  await gone(waiting);
  waiting.goOn();
  await t.notThrowsAsync(end);
  await app.close();
});

test('an answer of HTTP/2 whose requester went away before', async (t) => {
  const { app, arrival, end, port } = await waitingServer(true);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const request = session.request({ ':path': '/' });
  request.on('error', () => undefined); // it is ended here
  const waiting = await arrival;
  request.close(http2.constants.NGHTTP2_CANCEL);
  await gone(waiting);
  waiting.goOn();
  await t.notThrowsAsync(end);
  session.close();
  await once(session, 'close');
  await app.close();
});

test('an answer that is sent ends, too', async (t) => {
  const { app, arrival, end, port } = await waitingServer(false);
  const answer = fetch(`http://127.0.0.1:${port}/`);
  (await arrival).goOn();
  t.is((await answer).status, 200);
  await t.notThrowsAsync(end);
  await app.close();
});

test('an answer has one listener for all that ends with it, in the order in which it came', (t) => {
  const raw = new Writable();
  const ended: number[] = [];
  const before = raw.listenerCount('close');
  for (let count = 0; count < 20; count += 1) {
    whenClosed({ raw } as unknown as FastifyReply, () => ended.push(count));
  }
  t.is(raw.listenerCount('close') - before, 1);
  raw.emit('close');
  t.deepEqual(
    ended,
    Array.from({ length: 20 }, (_, count) => count),
  );
});
