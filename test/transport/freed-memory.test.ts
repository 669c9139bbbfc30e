/** Connections free what a message was joined from, and nothing else: small messages are parts of a socket's chunks. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { WebSocket, WebSocketServer } from 'ws';
import { ownMemory } from '../../src/model/index.js';
import { wholeMessage } from '../../src/server/index.js';
import { nodeSystem } from '../../src/system/index.js';
import {
  Connection,
  DEFAULT_LINK,
  encodeMessage,
  WebMessageSocket,
} from '../../src/transport/index.js';

/** A connection, and its peer, which sends what it likes. */
interface Link {
  readonly connection: Connection;
  readonly raw: WebSocket;
  readonly socket: WebSocket;
  /** The chunks that came from the socket. */
  readonly chunks: Buffer[];
  /** Returns this many messages, as they were received. */
  received(count: number): Promise<Buffer[]>;
}

async function linked(t: ExecutionContext): Promise<Link> {
  const server = new WebSocketServer({ port: 0 });
  const accepted = once(server, 'connection') as Promise<[WebSocket, IncomingMessage]>;
  const raw = new WebSocket(`ws://127.0.0.1:${(server.address() as net.AddressInfo).port}/`);
  const [socket, request] = await accepted;
  const chunks: Buffer[] = [];
  request.socket.prependListener('data', (chunk: Buffer) => chunks.push(chunk));
  const { clock } = nodeSystem();
  const connection = new Connection(new WebMessageSocket(socket), {
    ...DEFAULT_LINK,
    receives: 'to-server',
    clock,
  });
  t.teardown(() => {
    raw.terminate();
    connection.terminate();
    server.close();
  });
  await once(raw, 'open');
  const received = (count: number): Promise<Buffer[]> =>
    new Promise((resolve) => {
      const messages: Buffer[] = [];
      connection.onMessage((_name, bytes) => {
        messages.push(bytes);
        if (messages.length === count) resolve(messages);
      });
    });
  return { connection, raw, socket, chunks, received };
}

const { head } = encodeMessage('streamChunk', { stream: 3 });

test('the fragments of a message are freed as soon as they are joined, and their chunks', async (t) => {
  const { raw, socket, chunks, received } = await linked(t);
  const messages = received(1);
  const fragments = once(socket, 'message') as Promise<[Buffer[]]>;
  raw.send(head, { fin: false });
  for (const byte of [1, 2]) raw.send(Buffer.alloc(400_000, byte), { fin: byte === 2 });
  const [message] = await messages;
  t.true(
    message!.equals(Buffer.concat([head, Buffer.alloc(400_000, 1), Buffer.alloc(400_000, 2)])),
  );
  const [[, ...large]] = await fragments;
  t.deepEqual(
    large.map(({ length }) => length),
    [0, 0],
  );
  const freed = chunks.filter(({ length }) => length === 0);
  t.true(freed.length > chunks.length / 2, `${freed.length} of ${chunks.length} chunks are freed`);
});

test('messages and pings that share chunks with large fragments stay whole', async (t) => {
  const { raw, received } = await linked(t);
  const pongs: Buffer[] = [];
  raw.on('pong', (data: Buffer) => pongs.push(Buffer.from(data)));
  const rounds = Array.from({ length: 40 }, (_none, index) => index);
  const messages = received(rounds.length * 2);
  for (const round of rounds) {
    raw.send(encodeMessage('streamAbort', { stream: round }).head);
    raw.send(head, { fin: false });
    raw.ping(Buffer.from(`before ${round}`));
    raw.send(Buffer.alloc(300_000 + 997 * round, round), { fin: false });
    raw.ping(Buffer.from(`within ${round}`));
    raw.send(Buffer.alloc(round, 0xee), { fin: true });
  }
  const expected = rounds.flatMap((round) => [
    encodeMessage('streamAbort', { stream: round }).head,
    Buffer.concat([head, Buffer.alloc(300_000 + 997 * round, round), Buffer.alloc(round, 0xee)]),
  ]);
  const got = await messages;
  t.true(got.every((message, index) => message.equals(expected[index]!)));
  const texts = rounds.flatMap((round) => [`before ${round}`, `within ${round}`]);
  while (pongs.length < texts.length) await once(raw, 'pong');
  t.deepEqual(pongs.map(String), texts);
});

test('a message that is sent last is freed when it is on its way, and arrives whole', async (t) => {
  const { connection, raw } = await linked(t);
  const arrived: Buffer[] = [];
  raw.on('message', (data: Buffer) => arrived.push(data));
  const sizes = [10, 70_000, 5_000_000, 3, 1_000_000];
  const sent = sizes.map((sizeBytes, index) => Buffer.alloc(sizeBytes, index + 1));
  const expected = sent.map((message) => Buffer.from(message));
  for (const message of sent) connection.sendLast(message);
  while (arrived.length < sizes.length) await once(raw, 'message');
  t.true(arrived.every((message, index) => message.equals(expected[index]!)));
  t.deepEqual(
    sent.map(({ length }) => length),
    [0, 0, 0, 0, 0],
  );
});

test('an answer in one buffer is free of its attachment, whose memory is freed', (t) => {
  const attachment = Buffer.alloc(300_000, 7);
  const whole = wholeMessage(encodeMessage('objectIs', { question: 1, exists: true }, attachment));
  t.is(attachment.length, 0);
  t.deepEqual(
    ownMemory(whole).map(({ byteLength }) => byteLength),
    [whole.length],
  ); // prettier-ignore
  t.true(whole.subarray(-300_000).every((byte) => byte === 7));
});
