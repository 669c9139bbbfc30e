import { once } from 'node:events';
import type net from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { WebMessageSocket } from '../../src/transport/index.js';
import { messageSocketSuite } from './message-socket.suite.js';

messageSocketSuite(async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[WebSocket]>;
  const { port } = server.address() as net.AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  const [[other]] = await Promise.all([accepted, once(client, 'open')]);
  t.teardown(() => {
    client.terminate();
    other.terminate();
    server.close();
  });
  return [new WebMessageSocket(client), new WebMessageSocket(other)];
});
