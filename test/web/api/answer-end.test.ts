// Pace: slow
/** Tests that an answer ends if its reader takes nothing of it, and goes on if it takes some. */
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import test from 'ava';
import { newWebApp } from '../../../src/web/api/index.js';
import { certificateIn } from '../../helpers/certificates.js';
import { pause } from '../../helpers/commands.js';
import { scratchInMemory } from '../../helpers/scratch.js';

const LIMITS = { readerMs: 3000 };
const PART = Buffer.alloc(256 << 10);
const PARTS = 64;

function* parts(): Generator<Buffer> {
  for (let index = 0; index < PARTS; index += 1) yield PART;
}

async function serve(tls?: { cert: Buffer | string; key: Buffer | string }) {
  const app = newWebApp({ tls, onError: () => undefined, limits: LIMITS });
  let ended!: (isWhole: boolean) => void;
  const end = new Promise<boolean>((resolve) => {
    ended = resolve;
  });
  app.get('/', (_, reply) => {
    const stream = Readable.from(parts(), { objectMode: false });
    stream.once('close', () => ended(stream.readableEnded));
    return reply.send(stream);
  });
  app.get('/never', () => new Promise(() => undefined));
  await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, end, port: (app.server.address() as AddressInfo).port };
}

for (const takes of [false, true]) {
  const what = takes
    ? 'a reader that takes some now and then gets all'
    : 'one that waits is cut off';
  test(`HTTP/1: ${what}`, async (t) => {
    const { app, end, port } = await serve();
    const answer = await new Promise<http.IncomingMessage>((resolve) => {
      http.get({ host: '127.0.0.1', port, agent: false }, resolve);
    });
    answer.on('error', () => undefined); // it may be cut off
    if (takes) for await (const _ of answer) await pause(5);
    t.is(await end, takes);
    answer.destroy();
    await app.close();
  });

  test(`HTTP/2: ${what}`, async (t) => {
    const { app, end, port } = await serve(await certificateIn(scratchInMemory(t)));
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const answer = session.request({ ':path': '/' });
    answer.on('error', () => undefined); // it may be cut off
    if (takes) for await (const _ of answer) await pause(2);
    t.is(await end, takes);
    session.destroy();
    await app.close();
  });
}

test('an app closes although a reader over HTTP/2 waits, and bounds requests over TLS', async (t) => {
  const { app, port } = await serve(await certificateIn(scratchInMemory(t)));
  t.like(app.server, { requestTimeout: 30_000, headersTimeout: 30_000 });
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined); // the server ends it
  const answer = session.request({ ':path': '/never' });
  answer.on('error', () => undefined);
  await pause(500);
  const ended = await Promise.race([app.close().then(() => true), pause(20_000)]);
  t.true(ended);
  session.destroy();
});
