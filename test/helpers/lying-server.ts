/**
 * A malicious proxy between a client and an honest server on plain loopback TCP, where a login is not bound to
 * the connection. It changes, omits or repeats the server's messages.
 */
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { WebSocket, WebSocketServer } from 'ws';
import { type MessageName, MESSAGES } from '../../src/transport/index.js';
import { forgetServer, type Server } from './commands.js';

/** Returns the messages to forward in place of a message of the server: none to omit it, two to repeat it. */
export type Lie = (name: MessageName, bytes: Buffer) => readonly Buffer[];

const NAMES = new Map(
  Object.entries(MESSAGES).map(([name, row]) => [row.number, name as MessageName]),
);

/**
 * Starts the proxy in front of a server until the test ends. Returns the arguments with which a client connects
 * to it.
 */
export async function lyingServer(
  t: ExecutionContext,
  honest: Server,
  lie: Lie,
  hear?: (bytes: Buffer) => void,
): Promise<readonly string[]> {
  const port = await lyingPort(t, honest, lie, hear);
  forgetServer(port);
  return ['--server', '127.0.0.1', '--port', String(port), '--insecure-tcp', '--reconnect', '0'];
}

/** Starts the proxy until the test ends, and returns its port. Each connection leads to the port that the server has then. */
export async function lyingPort(
  t: ExecutionContext,
  honest: { readonly port: number },
  lie: Lie,
  hear: (bytes: Buffer) => void = () => undefined,
): Promise<number> {
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 1 << 28 });
  t.teardown(() => sockets.close());
  sockets.on('connection', (client) => join(client, honest.port, lie, hear));
  await new Promise((resolve) => void sockets.once('listening', resolve));
  return (sockets.address() as AddressInfo).port;
}

function join(client: WebSocket, port: number, lie: Lie, hear: (bytes: Buffer) => void): void {
  const server = new WebSocket(`ws://127.0.0.1:${port}/`, { maxPayload: 1 << 28 });
  const waiting: Buffer[] = [];
  server.once('open', () => {
    for (const bytes of waiting) server.send(bytes);
  });
  client.on('message', (bytes: Buffer) => {
    hear(bytes);
    if (server.readyState === WebSocket.OPEN) server.send(bytes);
    else waiting.push(bytes);
  });
  server.on('message', (bytes: Buffer) => {
    const name = NAMES.get(bytes[0]!);
    for (const reported of name === undefined ? [bytes] : lie(name, bytes)) client.send(reported);
  });
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on('close', () => other.close());
    one.on('error', () => other.terminate());
  }
}
