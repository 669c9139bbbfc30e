// Pace: slow
/** Servers that break the rules: a client reports what is wrong, and exits. */
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type WebSocket, WebSocketServer } from 'ws';
import { encodeMessage, PROTOCOL_VERSION } from '../../src/transport/index.js';
import { backupsRunHere, run, poolsStayAway } from '../helpers/commands.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { file, makeTree, noise, text } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const home = makeScratch();
const source = path.join(home, 'tree');

test.before(() => {
  makeTree(source, [file('a', text(1, 5000)), file('b', noise(2, 2 << 20))]);
});
test.after.always(() => removeScratch(home));

/** Runs a backup against a server that replies to the greeting with `answer`. */
async function badServer(
  t: ExecutionContext,
  answer: (socket: WebSocket) => void,
): Promise<{ code: unknown; status: number | null; stderr: string }> {
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  t.teardown(() => sockets.close());
  sockets.on('connection', (socket) => socket.once('message', () => answer(socket)));
  await new Promise((resolve) => sockets.once('listening', resolve));
  const { port } = sockets.address() as AddressInfo;
  const args = ['-C', 'me', '--insecure-tcp', '--port', String(port), '--reconnect', '0', source];
  const { stderr } = await run('tardis', args);
  t.notRegex(stderr, /^\s+at /m);
  const { stdout, status } = await run('tardis', [...args, '--json']);
  return { code: (JSON.parse(stdout) as { error: { code: string } }).error.code, status, stderr };
}

const welcome = (protocol: number): Buffer =>
  encodeMessage('welcome', {
    protocol,
    software: 'test',
    incarnation: Buffer.alloc(16),
    creditBytes: 1 << 20,
    proof: Buffer.alloc(0),
    keys: Buffer.alloc(0),
    quotaBytes: 0,
    usedBytes: 0,
    ticket: Buffer.alloc(16),
    upTo: 0,
  }).head;

const OFFERED = {
  basis: 1,
  slot: 0,
  name: Buffer.from('a'),
  sizeBytes: 5_000_000,
  mostPercent: 50,
  digest: Buffer.alloc(32, 7),
};
const OFFER = encodeMessage('basis', { ...OFFERED, hasSignature: true }).head;
const PIECE = {
  basis: 1,
  isSample: false,
  range: 0,
  bytes: noise('s', 1 << 20),
  last: false,
  failed: false,
};
const UNWANTED = encodeMessage('signature', PIECE).head;

function sendAll(socket: WebSocket, messages: readonly Buffer[]): void {
  for (const message of [welcome(PROTOCOL_VERSION), ...messages]) socket.send(message);
}

for (const [what, code, answer] of [
  ['of another protocol', 'PROTOCOL_VERSION', (socket) => socket.send(welcome(99))],
  ['that sends noise', 'PROTOCOL_VIOLATION', (socket) => socket.send(noise('answer', 300))],
  ['that sends text', 'PROTOCOL_VIOLATION', (socket) => socket.send('welcome')],
  ['that hangs up', 'CONNECTION_LOST', (socket) => socket.terminate()],
  ['that closes', 'CONNECTION_LOST', (socket) => socket.close(1000)],
  [
    'that answers what was not asked',
    'PROTOCOL_VIOLATION',
    (socket) => {
      const verdicts = encodeMessage('verdicts', { question: 9, verdicts: Buffer.alloc(0) }).head;
      socket.once('message', () => socket.send(verdicts));
      socket.send(welcome(PROTOCOL_VERSION));
    },
  ],
  ['that offers a basis twice', 'PROTOCOL_VIOLATION', (socket) => sendAll(socket, [OFFER, OFFER])],
  [
    'that sends a signature nobody wants',
    'PROTOCOL_VIOLATION',
    (socket) => sendAll(socket, [OFFER, ...Array.from({ length: 17 }, () => UNWANTED)]),
  ],
  [
    'that tells an error of its own making',
    'PROTOCOL_VIOLATION',
    (socket) =>
      socket.send(encodeMessage('error', { code: 'NO_CODE', message: 'x', context: {} }).head),
  ],
] as readonly [string, string, (socket: WebSocket) => void][]) {
  test(`a server ${what}: ${code}`, async (t) => {
    const reported = await badServer(t, answer);
    t.is(reported.code, code);
    t.is(reported.status, 1);
    t.regex(reported.stderr, new RegExp(`\\[${code}\\]`));
  });
}

const ESCAPES = 'so \x1b]0;title\x07\x9b2J\r there';

test('the text of a server in an error is shown, and no terminal obeys it', async (t) => {
  const reported = await badServer(t, (socket) =>
    socket.send(
      encodeMessage('error', { code: 'CLIENT_BUSY', message: ESCAPES, context: {} }).head,
    ),
  );
  t.is(reported.code, 'CLIENT_BUSY');
  t.true(reported.stderr.includes(String.raw`so \x1b]0;title\x07\x9b2J\x0d there [CLIENT_BUSY]`));
});

test('the text of a server about its own bug is shown, and no terminal obeys it', async (t) => {
  const error = { code: 'INTERNAL', message: ESCAPES, context: { stack: `one\ntwo ${ESCAPES}` } };
  const reported = await badServer(t, (socket) => socket.send(encodeMessage('error', error).head));
  t.is(reported.code, 'INTERNAL');
  t.true(reported.stderr.includes('one\ntwo so'));
  // eslint-disable-next-line no-control-regex
  t.notRegex(reported.stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});
