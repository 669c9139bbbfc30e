// Pace: slow
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { type ErrorCode, TardisError } from '../../src/errors/index.js';
import { type SocketAddress, nodeSystem, type System } from '../../src/system/index.js';
import { ManualClock } from '../support/manual-clock.js';
import {
  connect,
  type Connection,
  decodeMessage,
  DEFAULT_LINK,
  encodeMessage,
  listen,
  type LinkOptions,
  type MessageName,
} from '../../src/transport/index.js';
import { helloOf } from '../helpers/greetings.js';
import { rejectedCode } from '../helpers/codes.js';
import { scratch } from '../helpers/scratch.js';
import { until } from '../helpers/until.js';

const system = nodeSystem();
const TRANSPORT_URL = new URL('../../src/transport/index.js', import.meta.url).href;
const SYSTEM_URL = new URL('../../src/system/index.js', import.meta.url).href;

/** A TCP port that the system chooses. (A unix socket needs the umask, which a test's thread cannot set.) */
const ANY_PORT: SocketAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

/** Returns both ends of a new connection. */
async function connected(
  t: ExecutionContext,
  link: LinkOptions = DEFAULT_LINK,
  within: System = system,
) {
  let onServer: (connection: Connection) => void;
  const accepted = new Promise<Connection>((resolve) => {
    onServer = resolve;
  });
  const listener = await listen(within, ANY_PORT, link, {
    onConnection: (connection) => onServer(connection),
  });
  t.teardown(() => listener.close()); // also if no connection is made: an open listener keeps the test's thread alive
  const client = await connect(within, listener.address, link);
  const server = await accepted;
  server.admit(); // the limits before the login have tests of their own
  t.teardown(() => {
    client.terminate();
    server.terminate();
  });
  return { server, client };
}

/** Returns the messages that a connection receives, in order, by name. */
function messagesOf(connection: Connection): { next(): Promise<[MessageName, Buffer]> } {
  const received: [MessageName, Buffer][] = [];
  const waiting: ((message: [MessageName, Buffer]) => void)[] = [];
  connection.onMessage((name, bytes) => {
    const message: [MessageName, Buffer] = [name, Buffer.from(bytes)];
    const waiter = waiting.shift();
    if (waiter === undefined) received.push(message);
    else waiter(message);
  });
  return {
    next: () => {
      const message = received.shift();
      if (message !== undefined) return Promise.resolve(message);
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}

test('messages arrive in order, with their attachments, in both directions', async (t) => {
  const { server, client } = await connected(t);
  const [atServer, atClient] = [messagesOf(server), messagesOf(client)];
  const attachment = Buffer.alloc(300_000, 7);
  client.send('hello', helloOf('c'));
  client.sendEncoded(encodeMessage('streamChunk', { stream: 3 }, attachment));
  client.sendBytes(encodeMessage('streamAbort', { stream: 3 }).head);
  server.send('received', { upTo: 2 });
  t.is((await atServer.next())[0], 'hello');
  const [name, bytes] = await atServer.next();
  t.is(name, 'streamChunk');
  t.deepEqual(decodeMessage('streamChunk', bytes).attachment, attachment);
  t.is((await atServer.next())[0], 'streamAbort');
  const [answer, head] = await atClient.next();
  t.is(answer, 'received');
  t.is(decodeMessage('received', head).head.upTo, 2);
});

test('an orderly end has no reason, on either side', async (t) => {
  const { server, client } = await connected(t);
  client.close();
  t.is(await server.closed, undefined);
  t.is(await client.closed, undefined);
  t.notThrows(() => server.send('received', { upTo: 1 }));
  t.notThrows(() => server.fail(new TardisError('INTERNAL', 'too late')));
  t.is(await server.closed, undefined);
});

test('a peer that has received all leaves without the answer of one that reads nothing', async (t) => {
  const { server, client } = await connected(t);
  server.pause();
  client.leave();
  t.is(await client.closed, undefined);
  server.resume();
  t.is(await server.closed, undefined, 'for the peer it is an orderly end');
});

test('a round trip is measured on a link', async (t) => {
  const { client, server } = await connected(t);
  t.true(client.roundTripMs > 0);
  t.is(server.roundTripMs, 0);
});

test('a failure is reported to the peer, with its code', async (t) => {
  const { server, client } = await connected(t);
  server.fail(new TardisError('DISK_FULL', 'no room', { freeBytes: 5 }));
  const reason = await client.closed;
  t.like(reason, { code: 'DISK_FULL', message: 'no room', context: { freeBytes: 5 } });
  t.is((await server.closed)?.code, 'DISK_FULL');
});

test('the stack of a bug stays where it is', async (t) => {
  const { server, client } = await connected(t);
  server.fail(new TypeError('x is not a function'));
  t.like(await client.closed, { code: 'INTERNAL', context: {} });
  t.is((await client.closed)?.context['stack'], undefined);
  t.not((await server.closed)?.context['stack'], undefined);
});

test('a peer that is cut off is a lost connection', async (t) => {
  const { server, client } = await connected(t);
  client.terminate();
  t.is((await server.closed)?.code, 'CONNECTION_LOST');
});

/** Returns a connection whose peer uses WebSocket but not this protocol. */
async function rawPeer(t: ExecutionContext): Promise<{ server: Connection; raw: WebSocket }> {
  let onServer: (connection: Connection) => void;
  const accepted = new Promise<Connection>((resolve) => {
    onServer = resolve;
  });
  const listener = await listen(system, ANY_PORT, DEFAULT_LINK, {
    onConnection: (one) => onServer(one),
  });
  const { address } = listener;
  const raw = new WebSocket(`ws://127.0.0.1:${address.kind === 'tcp' ? address.port : 0}/`);
  await once(raw, 'open');
  const server = await accepted;
  server.onMessage(() => t.fail('nothing of this may reach the listener'));
  t.teardown(async () => {
    raw.terminate();
    await listener.close();
  });
  return { server, raw };
}

const GARBAGE: [string, string | Buffer, ErrorCode][] = [
  ['a text', 'hello', 'PROTOCOL_VIOLATION'],
  ['nothing', Buffer.alloc(0), 'PROTOCOL_VIOLATION'],
  ['noise', Buffer.alloc(100, 0xa5), 'PROTOCOL_VIOLATION'],
  ['an answer', encodeMessage('received', { upTo: 1 }).head, 'PROTOCOL_VIOLATION'],
  [
    'too large',
    Buffer.concat([encodeMessage('streamAbort', { stream: 1 }).head, Buffer.alloc(2000)]),
    'MESSAGE_TOO_LARGE',
  ],
  ['larger than any message', Buffer.alloc(18 << 20), 'MESSAGE_TOO_LARGE'],
];

for (const [what, garbage, expected] of GARBAGE) {
  test(`${what} ends the connection, and the peer gets the reason`, async (t) => {
    const { server, raw } = await rawPeer(t);
    const codes: string[] = [];
    raw.on('message', (data) => {
      codes.push(decodeMessage('error', data as Buffer).head.code);
    });
    const over = once(raw, 'close');
    raw.send(garbage);
    t.is((await server.closed)?.code, expected);
    await over;
    if (what !== 'larger than any message') t.deepEqual(codes, [expected]);
  });
}

test('a peer that is silent for too long is given up', async (t) => {
  const clock = new ManualClock(0);
  const stopped: System = { ...system, native: system.native, clock };
  const link = { ...DEFAULT_LINK, pingMs: 5, timeoutMs: 1000 };
  const { server, client } = await connected(t, link, stopped);
  server.pause(); // a paused connection does not count as silent
  clock.advance(900);
  t.is(server.silentMs, 0);
  server.resume();
  // Repeated, because a pong in flight may arrive in between.
  const timer = setInterval(() => clock.advance(1001), 1);
  t.teardown(() => clearInterval(timer));
  const reasons = await Promise.all([server.closed, client.closed]);
  t.true(reasons.some((reason) => reason?.code === 'TIMED_OUT'));
});

test('a peer that owes an answer is given up, however well it answers pings', async (t) => {
  const clock = new ManualClock(0);
  const timed: System = { ...system, native: system.native, clock };
  const link = { ...DEFAULT_LINK, pingMs: 5, timeoutMs: 50 * PINGS };
  const { server, client } = await connected(t, link, timed);
  const ends = { hasEnded: false };
  const ended = client.closed.then((reason) => {
    ends.hasEnded = true;
    return reason;
  });
  for (let round = 0; round < 60; round += 1) await beats(clock, [client, server]);
  t.false(ends.hasEnded, 'it owes nothing');
  client.owes(true);
  const going = async (): Promise<undefined> => {
    while (!ends.hasEnded) await beats(clock, [client, server], () => ends.hasEnded);
    return undefined;
  };
  const reason = await Promise.race([ended, going()]);
  t.is(reason?.code, 'TIMED_OUT');
  t.regex(reason?.message ?? '', /was not answered/);
});

/** Number of pings in one call of `beats`. */
const PINGS = 10;

/** Waits for some pings and their answers, unless it is over; PINGS milliseconds pass by the clock of the test. */
async function beats(
  clock: ManualClock,
  ends: readonly Connection[],
  isOver = (): boolean => false,
): Promise<void> {
  for (let ping = 0; ping < PINGS; ping += 1) {
    clock.advance(1);
    await until(() => isOver() || ends.every(({ silentMs }) => silentMs === 0));
  }
}

test('a machine that slept checks that its peer is still there, and waits 10 s for the answer', async (t) => {
  const clock = new ManualClock(1e12);
  const stopped: System = { ...system, native: system.native, clock };
  const link = { ...DEFAULT_LINK, pingMs: 5, timeoutMs: 300_000 };
  const { server, client } = await connected(t, link, stopped);
  const ends = [server, client];
  await beats(clock, ends);
  server.pause(); // from here on the server does not answer pings
  await beats(clock, ends);
  clock.jumpTo(clock.nowMs() + 3_600_000);
  await beats(clock, ends);
  clock.advance(9000);
  await beats(clock, ends);
  let isOver = false;
  void client.closed.then(() => (isOver = true));
  await beats(clock, ends);
  t.false(isOver);
  clock.advance(2000);
  const reason = await client.closed;
  t.like(reason, { code: 'TIMED_OUT', message: 'nothing was heard since this machine slept' });
});

test('a clock that is set, however far, ends no connection whose peer is there', async (t) => {
  const clock = new ManualClock(1e12);
  const stopped: System = { ...system, native: system.native, clock };
  const link = { ...DEFAULT_LINK, pingMs: 5, timeoutMs: 300_000 };
  const { server, client } = await connected(t, link, stopped);
  const atClient = messagesOf(client);
  for (const wallMs of [0, 4e12, 2 ** 31 * 1000, -1e12, 2 ** 32 * 1000, NaN, 1e12]) {
    clock.jumpTo(wallMs);
    await beats(clock, [server, client]);
    clock.advance(11_000);
    await beats(clock, [server, client]);
  }
  server.send('received', { upTo: 1 });
  t.is((await atClient.next())[0], 'received');
});

test('a socket is for its owner only, and a second listener is refused', (t) => {
  const socket = path.join(scratch(t), 'socket');
  const child = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import fs from 'node:fs';
       import { DEFAULT_LINK, listen } from ${JSON.stringify(TRANSPORT_URL)};
       import { nodeSystem } from ${JSON.stringify(SYSTEM_URL)};
       process.umask(0);
       const address = { kind: 'unix', path: process.argv[1] };
       const start = () => listen(nodeSystem(), address, DEFAULT_LINK, { onConnection: () => undefined });
       const listener = await start();
       const mode = fs.statSync(process.argv[1]).mode & 0o777;
       const second = await start().catch((error) => error.code);
       await listener.close();
       process.stdout.write([mode.toString(8), second, process.umask()].join());`,
      socket,
    ],
    { encoding: 'utf8' },
  );
  t.is(child.stdout, '600,LISTEN_FAILED,0', child.stderr);
});

const hasIpv6 = Object.values(os.networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

if (hasIpv6) {
  test('an IP address may have colons, and brackets', async (t) => {
    const listener = await listen(system, { kind: 'tcp', host: '::1', port: 0 }, DEFAULT_LINK, {
      onConnection: (connection) => t.teardown(() => connection.terminate()),
    });
    t.teardown(() => listener.close());
    const { port } = listener.address as { port: number };
    for (const host of ['::1', '[::1]']) {
      const client = await connect(system, { kind: 'tcp', host, port }, DEFAULT_LINK);
      client.terminate();
    }
    t.pass();
  });
}

test('a server that is not there, or is none, is unreachable', async (t) => {
  const missing = path.join(scratch(t), 'socket');
  const unreachable = connect(system, { kind: 'unix', path: missing }, DEFAULT_LINK);
  t.is(await rejectedCode(unreachable), 'SERVER_UNREACHABLE');
  const stranger = net.createServer((socket) => socket.end('220 smtp.example\r\n'));
  t.teardown(() => stranger.close());
  stranger.listen(missing);
  await once(stranger, 'listening');
  const none = connect(system, { kind: 'unix', path: missing }, DEFAULT_LINK);
  t.is(await rejectedCode(none), 'SERVER_UNREACHABLE');
});
