// Pace: slow
/** Requests that no well-made program sends, over real connections: none gets what it should not, and the server goes on. */
import http2 from 'node:http2';
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { constantFrom, integer, oneof, sample, tuple, uint8Array } from 'fast-check';
import { certificateIn } from '../../helpers/certificates.js';
import { inlineLab } from '../../helpers/inline.js';
import { seed } from '../../helpers/seed.js';
import { shareOf } from '../../helpers/share.js';
import { file } from '../../helpers/tree.js';
import { openDoors, quotedPath, type WebDoors } from '../../helpers/web-doors.js';

const ALL_REQUESTS = 10_000;
const AT_ONCE = 40;
/** Time after which a connection without an end is closed; the server waits longer for a request that is cut. */
const PATIENCE_MS = 1500;
const CONTENT = 'the content of the file';
/** Requests of one login that are answered at once. */
const OF_ONE = 192;

interface Lab {
  readonly doors: WebDoors;
  readonly port: number;
  /** A good request for the content of the file. */
  readonly good: Buffer;
}

async function makeLab(t: ExecutionContext): Promise<Lab> {
  const { place, source, backup } = inlineLab(t, [file('a.txt', CONTENT)]);
  await backup();
  const doors = await openDoors(t, place);
  const url = `/api/v1/clients/me/sets/1/content?path=${quotedPath(source)}/a.txt`;
  const lines = [
    `GET ${url} HTTP/1.1`,
    'Host: localhost',
    'Accept: */*',
    `Authorization: Bearer ${doors.token}`,
  ];
  const good = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  return { doors, port: Number(new URL(doors.origin).port), good };
}

/** Sends bytes, and returns all that comes back before the connection ends. */
function exchange(port: number, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined); // the server may end it before it has taken all
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString('latin1'));
    });
    socket.end(bytes);
  });
}

const statusesIn = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

const WORDS = [
  '\0',
  '\r',
  '\n',
  '\r\n\r\n',
  '\t',
  ' ',
  '%00',
  '%',
  '/../../../../etc/passwd',
  '/%2e%2e/%2e%2e/',
  '\\..\\..\\',
  'http://evil.example/',
  '*',
  'HTTP/9.9',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'Content-Length: -1\r\n',
  'Content-Length: 99999999999999999999\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Host: evil.example\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\n',
  'Expect: 200-ok\r\n',
  'Range: bytes=0-0,0-0,-1,99999999999999999999-\r\n',
  'If-None-Match: "\r\n',
  `X: ${'a'.repeat(40_000)}\r\n`,
  'X: y\r\n'.repeat(3000),
  '\u00ff\u00fe',
];

/** One change of a request: bytes that are put in at a place instead of some others. */
const change = tuple(
  integer({ min: 0, max: 10_000 }),
  integer({ min: 0, max: 40 }),
  oneof(
    constantFrom(...WORDS).map((word) => Buffer.from(word, 'latin1')),
    uint8Array({ maxLength: 20 }),
  ),
);

function changed(good: Buffer, [at, gone, put]: [number, number, Uint8Array]): Buffer {
  const from = at % (good.length + 1);
  return Buffer.concat([good.subarray(0, from), put, good.subarray(from + gone)]);
}

/** Calls a function for each item, some at once. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) await work(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Fails if places of requests were lost: a login has all of its places, and gets the content. */
async function requireWhole(t: ExecutionContext, { doors, good }: Lab): Promise<void> {
  const [, url] = /^GET (\S+) /.exec(good.toString()) ?? [];
  const answers = await Promise.all(
    Array.from({ length: OF_ONE }, async () => (await doors.get(url!)).text()),
  );
  t.true(answers.every((text) => text === CONTENT));
  t.deepEqual(doors.reported, []);
}

/** Returns a body without the refusal behind it: a request may promise a body of its own, and end the connection instead. */
function contentIn(body: string): string {
  return body.replace(/HTTP\/1\.1 4\d\d [^]*$/, '');
}

test('malformed requests over a connection get a refusal or the content, and nothing else', async (t) => {
  const lab = await makeLab(t);
  const { good, port } = lab;
  await requireWhole(t, lab); // opens the history, for which a client that has ended its side would not wait
  t.regex(await exchange(port, good), new RegExp(`^HTTP/1\\.1 200 OK[^]*${CONTENT}$`));
  const changes = sample(change, { numRuns: shareOf(ALL_REQUESTS, 1000), seed });
  t.log(`${changes.length} requests, TEST_SEED=${seed}`);
  const counts = new Map<number, number>();
  await each(changes, async (one) => {
    const sent = changed(good, one);
    const text = await exchange(port, sent);
    const [status = 0] = statusesIn(text);
    counts.set(status, (counts.get(status) ?? 0) + 1);
    const shown = sent.toString('latin1').slice(0, 400);
    if (status >= 500 || (status >= 300 && status < 400 && status !== 304)) {
      t.fail(`${status}: ${JSON.stringify(shown)}`);
    }
    const [head = '', body = ''] = text.split('\r\n\r\n');
    const isContent = status === 200 && head.includes('etag: ');
    if (isContent && !head.includes('content-encoding') && contentIn(body) !== CONTENT) {
      t.fail(`a wrong content: ${JSON.stringify(shown)}`);
    }
  });
  t.log([...counts].map(([status, count]) => `${status}: ${count}`).join(', '));
  await requireWhole(t, lab);
});

const MOST_TRIES = 10;
const HIDDEN_BY = [
  'Content-Length: 4\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 4',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\r\n chunked\r\nContent-Length: 4',
  'Content-Length: 4\r\nContent-Length: 5',
  'Content-Length: 4, 4',
  'Content-Length: +4',
  'Content-Length: 0x4',
  'Content-Length : 4',
  'Content-Length: 4\rTransfer-Encoding: chunked',
];

test('a request that two programs would delimit in different ways is refused with its connection', async (t) => {
  const lab = await makeLab(t);
  const { good, port } = lab;
  for (const header of HIDDEN_BY) {
    const first = `POST /api/v1/clients/me/sets HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n0\r\n\r\n`;
    let text = '';
    // The end of the connection may overtake the refusal on it.
    for (let tries = 0; text === '' && tries < MOST_TRIES; tries += 1) {
      text = await exchange(port, Buffer.concat([Buffer.from(first), good]));
    }
    t.deepEqual(statusesIn(text), [400], header);
    t.false(text.includes(CONTENT), header);
  }
  await requireWhole(t, lab);
});

test('requests over HTTP/2 that are reset at once keep no places', async (t) => {
  const { home, place, source, backup } = inlineLab(t, [file('a.txt', CONTENT)]);
  await backup();
  const doors = await openDoors(t, place, { tls: await certificateIn(home) });
  const url = `/api/v1/clients/me/sets/1/content?path=${quotedPath(source)}/a.txt`;
  const headers = { ':path': url, authorization: `Bearer ${doors.token}` };
  const connect = (): http2.ClientHttp2Session => {
    const session = http2.connect(doors.origin, { rejectUnauthorized: false });
    session.on('error', () => undefined); // the server may end it
    return session;
  };
  const resets = shareOf(ALL_REQUESTS, 2000);
  for (let sent = 0; sent < resets; ) {
    const session = connect();
    const closed = new Promise((resolve) => session.once('close', resolve));
    await new Promise((resolve) => session.once('connect', resolve));
    for (let own = 0; own < 500 && !session.closed && !session.destroyed; own += 1, sent += 1) {
      const stream = session.request(headers);
      stream.on('error', () => undefined); // it is reset here
      stream.close(http2.constants.NGHTTP2_CANCEL);
      if (own % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    session.destroy();
    await closed;
  }
  const session = connect();
  const read = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const stream = session.request(headers);
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
  for (let round = 0; round < 4; round += 1) {
    const answers = await Promise.all(Array.from({ length: 100 }, read));
    t.true(answers.every((text) => text === CONTENT));
  }
  session.destroy();
});
