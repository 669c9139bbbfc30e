import http2 from 'node:http2';
import test, { type ExecutionContext } from 'ava';
import { nodeSystem } from '../../src/system/index.js';
import {
  Backoff,
  type ClientLine,
  connectHttps,
  DEFAULT_LINK,
  linkWith,
  type LinkOptions,
} from '../../src/transport/index.js';
import { certificateIn } from '../helpers/certificates.js';
import { helloOf } from '../helpers/greetings.js';
import { scratch } from '../helpers/scratch.js';
import { listening } from '../helpers/listener.js';

const TRICKLE_MS = 20;
const TIMEOUT_MS = 300;
/** When the test takes the time-out for missing. */
const PATIENCE_MS = 6000;
const PART: Buffer = Buffer.alloc(1 << 20);

/** Returns a connection to a server that answers each stream by `answer`. */
async function connectedTo(
  t: ExecutionContext,
  link: LinkOptions,
  answer: (stream: http2.ServerHttp2Stream) => void,
): Promise<ClientLine> {
  const server = http2.createSecureServer({ ...(await certificateIn(scratch(t))) });
  server.on('session', (session) => {
    session.on('error', () => undefined);
    t.teardown(() => session.destroy());
  });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    answer(stream);
  });
  const port = await listening(t, server);
  const line = await connectHttps(
    nodeSystem(),
    { kind: 'tcp', host: '127.0.0.1', port },
    { link, tlsOptions: { validate: false }, place: { prefix: '', client: 'me' } },
  );
  t.teardown(() => line.leave());
  return line;
}

/** Returns what a promise resolves to; undefined if that takes too long. */
function soon<T>(promise: Promise<T>): Promise<T | undefined> {
  const late = new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), PATIENCE_MS).unref();
  });
  return Promise.race([promise, late]);
}

test('a server that sends a byte now and then keeps nobody waiting without end', async (t) => {
  const line = await connectedTo(t, linkWith(TIMEOUT_MS), (stream) => {
    stream.respond({ ':status': 200 });
    const timer = setInterval(() => stream.write(' '), TRICKLE_MS);
    stream.on('close', () => clearInterval(timer));
  });
  line.send('hello', helloOf('me'));
  t.is((await soon(line.closed))?.code, 'TIMED_OUT');
});

test('an answer that is too large is cut off at once, also behind another one', async (t) => {
  let count = 0;
  let cut: (code: number) => void;
  const cutOff = new Promise<number>((resolve) => {
    cut = resolve;
  });
  const line = await connectedTo(t, DEFAULT_LINK, (stream) => {
    count += 1;
    stream.respond({ ':status': 200 });
    if (count === 1) return; // never ends
    stream.on('close', () => cut(stream.rstCode));
    const more = (): void => {
      if (!stream.destroyed) stream.write(PART, more);
    };
    more();
  });
  line.send('hello', helloOf('me'));
  line.send('hello', helloOf('me'));
  t.is(await soon(cutOff), http2.constants.NGHTTP2_CANCEL);
});

test('a proxy, or a server whose own server is away, is tried again after the seconds that it names', async (t) => {
  const away = JSON.stringify({ code: 'SERVER_UNREACHABLE', detail: 'x' });
  const date = 'Thu, 01 Jan 2026 00:00:';
  for (const [status, headers, body, mayPass, seconds] of [
    [502, {}, '<html>', true, 0],
    [503, { 'retry-after': '7' }, away, true, 7],
    [429, { date: `${date}10 GMT`, 'retry-after': `${date}22 GMT` }, '', true, 12],
    [404, { 'retry-after': 'x' }, '<html>', false, 0],
  ] as const) {
    const line = await connectedTo(t, DEFAULT_LINK, (stream) => {
      stream.respond({ ...headers, ':status': status });
      stream.end(body);
    });
    line.send('hello', helloOf('me'));
    const reason = await soon(line.closed);
    t.is(reason?.code, 'SERVER_UNREACHABLE');
    t.is(Backoff.mayPassAtFirst(reason), mayPass, `${status}`);
    t.is(reason?.context['seconds'], seconds, `${status}`);
  }
});
