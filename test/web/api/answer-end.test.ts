// Pace: slow
/** Tests that an answer ends if its reader takes nothing of it, and goes on if it takes some, or has taken much. */
import type { EventEmitter } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import test from 'ava';
import { newWebApp, type WebLimits } from '../../../src/web/api/index.js';
import { certificateIn } from '../../helpers/certificates.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { pause } from '../../helpers/until.js';

/** Limits of a reader that gets no time for the bytes it has taken. */
const LIMITS = { readerMs: 3000, leastBytesPerMs: 1 << 30 };
/** Limits of a reader that gets all if it takes 16 KB/s. */
const SLOW = { readerMs: 3000, leastBytesPerMs: 16 };
/** Limits of a reader that gets a minute for each megabyte it has taken. Its connection would end in a short pause. */
const PATIENT = { readerMs: 5000, leastBytesPerMs: 16, idleMs: 5000 };
/** Time after which Node.js has ended an idle connection for sure: it may take twice the limit. */
const PAUSE_MS = 12_000;
const PART = Buffer.alloc(256 << 10);
const PARTS = 192;

function* parts(): Generator<Buffer> {
  for (let index = 0; index < PARTS; index += 1) yield PART;
}

interface Served {
  readonly tls?: { cert: Buffer | string; key: Buffer | string };
  readonly limits?: Partial<WebLimits>;
  /** True to send the size of the answer before it. */
  readonly isSized?: boolean;
}

async function serve({ tls, limits = LIMITS, isSized = false }: Served = {}) {
  const app = newWebApp({ tls, onError: () => undefined, limits });
  let ended!: (isWhole: boolean) => void;
  const end = new Promise<boolean>((resolve) => {
    ended = resolve;
  });
  app.get('/', (_, reply) => {
    const stream = Readable.from(parts(), { objectMode: false });
    stream.once('close', () => ended(stream.readableEnded));
    if (isSized) void reply.header('content-length', PARTS * PART.length);
    return reply.send(stream);
  });
  const isWaiting = new Promise<void>((resolve) => {
    app.get('/never', () => {
      resolve();
      return new Promise(() => undefined);
    });
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, end, isWaiting, port: (app.server.address() as AddressInfo).port };
}

for (const takes of [false, true]) {
  const what = takes
    ? 'a reader that takes some now and then gets all'
    : 'one that waits is cut off';
  test(`HTTP/1: ${what}`, async (t) => {
    const { app, end, port } = await serve({ limits: takes ? SLOW : LIMITS });
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
    const tls = await certificateIn(scratchInMemory(t));
    const { app, end, port } = await serve({ tls, limits: takes ? SLOW : LIMITS });
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const answer = session.request({ ':path': '/' });
    answer.on('error', () => undefined); // it may be cut off
    if (takes) for await (const _ of answer) await pause(2);
    t.is(await end, takes);
    session.destroy();
    await app.close();
  });
}

/** Takes more bytes than buffers on the way hold, pauses much longer than the limits allow at first, and takes the rest. */
async function takenWithPause(answer: Readable): Promise<number> {
  let [taken, hasPaused] = [0, false];
  for await (const bytes of answer) {
    taken += (bytes as Buffer).length;
    if (hasPaused || taken < (PARTS * PART.length) / 4) continue;
    hasPaused = true;
    await pause(PAUSE_MS);
  }
  return taken;
}

for (const isSized of [false, true]) {
  const what = `a reader that has taken much may pause${isSized ? ', also if it knows the size' : ''}`;
  test(`HTTP/1: ${what}`, async (t) => {
    const { app, port } = await serve({ limits: PATIENT, isSized });
    const answer = await new Promise<http.IncomingMessage>((resolve) => {
      http.get({ host: '127.0.0.1', port, agent: false }, resolve);
    });
    t.is(await takenWithPause(answer), PARTS * PART.length);
    await app.close();
  });

  test(`HTTP/2: ${what}`, async (t) => {
    const tls = await certificateIn(scratchInMemory(t));
    const { app, port } = await serve({ tls, limits: PATIENT, isSized });
    const isIdle = new Promise((resolve) => {
      app.server.once('session', (session: EventEmitter) => session.once('close', resolve));
    });
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    session.on('error', () => undefined); // the server ends it when it is idle
    t.is(await takenWithPause(session.request({ ':path': '/' })), PARTS * PART.length);
    await isIdle; // its session ends as before
    session.destroy();
    await app.close();
  });
}

test('an app closes although a reader over HTTP/2 waits, and bounds requests over TLS', async (t) => {
  const { app, isWaiting, port } = await serve({ tls: await certificateIn(scratchInMemory(t)) });
  t.like(app.server, { requestTimeout: 30_000, headersTimeout: 30_000 });
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined); // the server ends it
  const answer = session.request({ ':path': '/never' });
  answer.on('error', () => undefined);
  await isWaiting;
  const ended = await Promise.race([app.close().then(() => true), pause(20_000)]);
  t.true(ended);
  session.destroy();
});
