/** A server within the process of its client. */
import { spawnSync } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import {
  type Connection,
  decodeMessage,
  DEFAULT_LINK,
  encodeMessage,
  InnerListener,
} from '../../src/transport/index.js';
import { thrownCode } from '../helpers/codes.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../helpers/until.js';

const system = nodeSystem();
const urlOf = (room: string): string =>
  JSON.stringify(new URL(`../../src/${room}/index.js`, import.meta.url).href);

/** A link whose pings follow each other quickly. */
const HURRIED = { ...DEFAULT_LINK, pingMs: 10 };

/** A clock that counts how often the two ends of a connection read its wall clock: with each ping. */
class BeatClock extends ManualClock {
  private read = 0;
  override nowMs(): number {
    this.read += 1;
    return super.nowMs();
  }
  /** Waits until each end has sent several pings. */
  beats(): Promise<void> {
    const enough = this.read + 10;
    return until(() => this.read >= enough);
  }
}

function connected(
  t: ExecutionContext,
  within: System = system,
): { server: Connection; client: Connection } {
  const listener = new InnerListener();
  let server: Connection | undefined;
  listener.open(HURRIED, (connection) => (server = connection));
  const client = listener.connect(within, HURRIED);
  t.teardown(() => [client, server!].forEach((connection) => connection.terminate()));
  return { server: server!, client };
}

test('a listener takes connections only while it is open; those that it took stay', async (t) => {
  const listener = new InnerListener();
  t.is(
    thrownCode(() => listener.connect(system, DEFAULT_LINK)),
    'SERVER_UNREACHABLE',
  );
  const taken: Connection[] = [];
  listener.open(DEFAULT_LINK, (connection) => taken.push(connection));
  const client = listener.connect(system, DEFAULT_LINK);
  listener.close();
  t.is(
    thrownCode(() => listener.connect(system, DEFAULT_LINK)),
    'SERVER_UNREACHABLE',
  );
  client.close();
  t.is(await taken[0]!.closed, undefined);
});

test('messages pass in both directions, and the peer is one of this machine', async (t) => {
  const { server, client } = connected(t);
  t.deepEqual([server.channel.kind, client.channel.kind, client.roundTripMs], ['unix', 'unix', 0]);
  const attachment = Buffer.alloc(300_000, 9);
  const atServer = new Promise<Buffer>((resolve) => {
    server.onMessage((_name, bytes) => resolve(bytes));
  });
  const atClient = new Promise<Buffer>((resolve) => {
    client.onMessage((_name, bytes) => resolve(bytes));
  });
  client.sendEncoded(encodeMessage('streamChunk', { stream: 3 }, attachment));
  server.send('received', { upTo: 1 });
  t.true(decodeMessage('streamChunk', await atServer).attachment.equals(attachment));
  t.is(decodeMessage('received', await atClient).head.upTo, 1);
});

test('the rules of messages hold: wrong direction, wrong length and unknown numbers end the connection', async (t) => {
  for (const bytes of [
    encodeMessage('received', { upTo: 1 }).head,
    Buffer.from([1]),
    Buffer.alloc(200, 0xff),
  ]) {
    const { server, client } = connected(t);
    client.sendBytes(bytes);
    t.is((await server.closed)?.code, 'PROTOCOL_VIOLATION');
    t.is((await client.closed)?.code, 'PROTOCOL_VIOLATION');
  }
});

test('an error of the server reaches its client with its code', async (t) => {
  const { server, client } = connected(t);
  server.fail(new TardisError('DISK_FULL', 'no room', { freeBytes: 5 }));
  t.like(await client.closed, { code: 'DISK_FULL', context: { freeBytes: 5 } });
});

test('a message whose sender has freed it counts as lost: nothing else arrives in its place', async (t) => {
  const { server, client } = connected(t);
  const arrived: string[] = [];
  server.onMessage((name) => arrived.push(name));
  const attachment = Buffer.alloc(300_000, 9);
  client.send('acknowledge', { ticket: Buffer.alloc(16), upTo: 0 });
  client.sendEncoded(encodeMessage('streamChunk', { stream: 3 }, attachment));
  client.send('streamAbort', { stream: 3 });
  structuredClone(attachment.buffer, { transfer: [attachment.buffer] });
  t.is((await server.closed)?.code, 'CONNECTION_LOST');
  t.is((await client.closed)?.code, 'CONNECTION_LOST');
  t.deepEqual(arrived, ['acknowledge']);
});

/** Longer than a closing end waits for its peer. */
const STANDSTILL_MS = 2100;

test('a client may leave before its last message has arrived', async (t) => {
  const { server, client } = connected(t);
  const arrived = new Promise<string>((resolve) => server.onMessage((name) => resolve(name)));
  client.send('streamAbort', { stream: 3 });
  client.leave();
  t.is(await arrived, 'streamAbort');
  t.is(await server.closed, undefined);
  t.is(await client.closed, undefined);
});

test('a client that leaves in order does so even if the process stands still for longer than the patience', async (t) => {
  const { server, client } = connected(t);
  client.send('streamAbort', { stream: 3 });
  client.leave();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STANDSTILL_MS);
  t.is(await client.closed, undefined);
  t.is(await server.closed, undefined);
});

test('very many small messages that wait for a paused end arrive in their order', async (t) => {
  const { server, client } = connected(t);
  const count = 100_000;
  const arrived: number[] = [];
  const isDone = new Promise<void>((resolve) => {
    server.onMessage((_name, bytes) => {
      arrived.push(decodeMessage('streamAbort', bytes).head.stream);
      if (arrived.length === count) resolve();
      if (arrived.length % 1000 !== 0) return;
      server.pause();
      setImmediate(() => server.resume());
    });
  });
  server.pause();
  for (let stream = 0; stream < count; stream += 1) client.send('streamAbort', { stream });
  server.resume();
  await isDone;
  t.true(arrived.every((stream, index) => stream === index));
});

test('a process that stood still is no silent peer', async (t) => {
  const clock = new BeatClock(1_700_000_000_000);
  const { server, client } = connected(t, { ...system, clock });
  const over: string[] = [];
  for (const { closed } of [server, client]) void closed.then(() => over.push('over'));
  client.owes(true);
  for (let round = 0; round < 5; round += 1) {
    clock.advance(10 * DEFAULT_LINK.timeoutMs);
    await clock.beats();
  }
  t.deepEqual(over, []);
});

test('after a sleep of the machine, a peer that is busy for long is not dead', async (t) => {
  const clock = new BeatClock(1_700_000_000_000);
  const { server, client } = connected(t, { ...system, clock });
  const over: string[] = [];
  for (const { closed } of [server, client]) void closed.then(() => over.push('over'));
  server.pause(); // answers no ping
  clock.jumpTo(1_700_000_000_000 + 3_600_000);
  for (let round = 0; round < 5; round += 1) {
    await clock.beats();
    clock.advance(20_000);
  }
  t.deepEqual(over, []);
});

test('an open connection keeps the process alive, as a socket does, and one that is over does not', (t) => {
  const child = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { DEFAULT_LINK, InnerListener } from ${urlOf('transport')};
       import { nodeSystem } from ${urlOf('system')};
       const listener = new InnerListener();
       listener.open(DEFAULT_LINK, (connection) => {
         connection.onMessage(() => undefined);
         setTimeout(() => connection.close(), 300).unref();
       });
       const client = listener.connect(nodeSystem(), DEFAULT_LINK);
       const reason = await client.closed;
       process.stdout.write(String(reason));`,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );
  t.is(child.stdout, 'undefined', child.stderr);
  t.is(child.status, 0);
});
