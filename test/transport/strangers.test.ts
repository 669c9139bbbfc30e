/** Limits of a connection before its peer has logged in, and what TLS gives to both ends. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { addressGroup, nodeSystem } from '../../src/system/index.js';
import {
  type Certificate,
  connect,
  type Connection,
  decodeMessage,
  DEFAULT_GATE,
  DEFAULT_LINK,
  encodeMessage,
  type GateLimits,
  listen,
} from '../../src/transport/index.js';
import { helloBytes } from '../helpers/greetings.js';
import { certificateIn } from '../helpers/certificates.js';
import { rejectedCode } from '../helpers/codes.js';
import { scratch } from '../helpers/scratch.js';
import { until } from '../helpers/until.js';

const system = nodeSystem();
const HELLO = helloBytes('c');

async function serving(
  t: ExecutionContext,
  gate: Partial<GateLimits> = {},
  certificate?: Certificate,
) {
  const accepted: Connection[] = [];
  const listener = await listen(system, { kind: 'tcp', host: '127.0.0.1', port: 0 }, DEFAULT_LINK, {
    onConnection: (connection) => void accepted.push(connection),
    certificate,
    gate: { ...DEFAULT_GATE, ...gate },
  });
  t.teardown(() => listener.close());
  const { address } = listener;
  return { address, port: address.kind === 'tcp' ? address.port : 0, accepted };
}

function closedOf(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

/** Opens a WebSocket from the address 127.0.0.`host`. */
async function stranger(port: number, host = 1): Promise<WebSocket> {
  const localAddress = `127.0.0.${host}`;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { localAddress });
  socket.on('error', () => undefined);
  await once(socket, 'open');
  return socket;
}

/**
 * Resolves with the code of the error that a server sends before it closes the connection; undefined if it sends none.
 */
function closeReason(socket: WebSocket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let code: string | undefined;
    socket.on('message', (data: Buffer) => {
      if (data[0] === 72) code = decodeMessage('error', data).head.code;
    });
    socket.once('close', () => resolve(code));
  });
}

test('a peer that sends nothing, or goes on slowly, is cut at the deadline', async (t) => {
  const { port, accepted } = await serving(t, { deadlineMs: 1500 });
  const silent = net.connect(port, '127.0.0.1');
  const slow = net.connect(port, '127.0.0.1');
  slow.write('GET / HTTP/1.1\r\n');
  const drip = setInterval(() => slow.write('x: y\r\n'), 50);
  t.teardown(() => clearInterval(drip));
  for (const socket of [silent, slow]) socket.on('error', () => undefined);
  const upgraded = await stranger(port);
  upgraded.send(HELLO);
  const [reported] = await Promise.all([
    closeReason(upgraded),
    // `once` of events would reject if the connection is reset.
    ...[silent, slow].map((socket) => closedOf(socket.resume())),
  ]);
  t.is(reported, 'TIMED_OUT');
  t.is(accepted.length, 1);
});

test('a peer that was admitted has no deadline and no limit of bytes', async (t) => {
  const { port, accepted } = await serving(t, { deadlineMs: 1500 });
  const socket = await stranger(port);
  await until(() => accepted.length === 1);
  const got: number[] = [];
  accepted[0]!.onMessage((_name, bytes) => void got.push(bytes.length));
  accepted[0]!.admit();
  const later = await stranger(port);
  later.send(HELLO);
  t.is(await closeReason(later), 'TIMED_OUT', 'the deadline has passed');
  const large = { question: 1, digests: Buffer.alloc(100_000), promise: false };
  socket.send(encodeMessage('digests', large).head);
  await until(() => got.length === 1);
  t.true(got[0]! > 100_000);
  socket.terminate();
});

for (const [what, bytes] of [
  ['in one message', [8000]],
  ['in many', Array<number>(20).fill(400)],
] as const) {
  test(`before the login nobody sends much, ${what}`, async (t) => {
    const { port, accepted } = await serving(t);
    const socket = await stranger(port);
    await until(() => accepted.length === 1);
    const end = closeReason(socket);
    for (const size of bytes) {
      socket.send(
        encodeMessage('digests', { question: 1, digests: Buffer.alloc(size), promise: false }).head,
      );
    }
    t.is(await end, 'MESSAGE_TOO_LARGE');
  });
}

test('one address fills its own places only, and makes room itself', async (t) => {
  const { port } = await serving(t, { maxWaiting: 8, maxPerAddress: 3 });
  const patient = await stranger(port, 1);
  const crowd: WebSocket[] = [];
  for (let count = 0; count < 12; count += 1) crowd.push(await stranger(port, 2));
  const isOpen = (socket: WebSocket): boolean => socket.readyState === WebSocket.OPEN;
  await until(() => crowd.filter(isOpen).length === 3);
  t.true(crowd.slice(-3).every(isOpen), 'the oldest ones went');
  // With many addresses there are still no more than `maxWaiting` connections. For each new one, the address with the
  // most connections loses one.
  for (let host = 3; host < 9; host += 1) crowd.push(await stranger(port, host));
  await until(() => [patient, ...crowd].filter(isOpen).length <= 8);
  t.true(isOpen(patient), 'who came alone stays');
  for (const socket of [patient, ...crowd]) socket.terminate();
});

test('both ends of TLS have the same keying material, which no other connection has', async (t) => {
  const certificate = await certificateIn(scratch(t));
  const { address, accepted } = await serving(t, {}, certificate);
  const seen = new Set<string>();
  for (let count = 1; count <= 3; count += 1) {
    const client = await connect(system, address, DEFAULT_LINK, { validate: false });
    await until(() => accepted.length === count);
    const { channel } = accepted.at(-1)!;
    t.is(channel.kind, 'tls');
    t.is(client.channel.kind, 'tls');
    t.is(channel.keyingMaterial.length, 32);
    t.deepEqual(channel.keyingMaterial, client.channel.keyingMaterial);
    seen.add(channel.keyingMaterial.toString('hex'));
    client.terminate();
  }
  t.is(seen.size, 3);
});

test('TLS is 1.3, and its certificate is checked where that is requested', async (t) => {
  const certificate = await certificateIn(scratch(t));
  const { address, port } = await serving(t, {}, certificate);
  const checked = connect(system, address, DEFAULT_LINK, { validate: true });
  const refusal = await t.throwsAsync(checked, { code: 'CERTIFICATE_REFUSED' });
  t.regex(refusal.message, /is not trusted: self-signed certificate$/);
  t.is(await rejectedCode(connect(system, address, DEFAULT_LINK)), 'SERVER_UNREACHABLE');
  const old = tls.connect({ port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
  const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException];
  t.regex(error.code ?? '', /ERR_SSL/);
  const plain = await serving(t);
  const wrong = connect(system, plain.address, DEFAULT_LINK, { validate: false });
  t.is(await rejectedCode(wrong), 'SERVER_UNREACHABLE');
});

test('an address of IPv6 counts with its neighbours', (t) => {
  t.is(addressGroup(undefined), '');
  t.is(addressGroup('10.1.2.3'), '10.1.2.3');
  t.is(addressGroup('::ffff:10.1.2.3'), '10.1.2.3');
  t.is(addressGroup('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2');
  t.is(addressGroup('2001:db8:1:2::6'), '2001:db8:1:2');
  t.is(addressGroup('2001:db8::6'), '2001:db8:0:0');
  t.is(addressGroup('::1'), '0:0:0:0');
  t.is(addressGroup('fe80::1%eth0'), 'fe80:0:0:0');
});
