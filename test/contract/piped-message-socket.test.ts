import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { WebSocket, WebSocketServer } from 'ws';
import { JoinedPipes } from '../../src/system/index.js';
import { WebMessageSocket } from '../../src/transport/index.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { messageSocketSuite } from './message-socket.suite.js';

/** Returns the two ends of a new socket, of which the test uses one direction, as if it were a pipe. */
async function pipe(t: ExecutionContext): Promise<readonly [net.Socket, net.Socket]> {
  const place = path.join(scratchInMemory(t), 'pipe');
  const listener = net.createServer().listen(place);
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<[net.Socket]>;
  const end = net.connect(place);
  const [[other]] = await Promise.all([accepted, once(end, 'connect')]);
  listener.close();
  return [end, other];
}

messageSocketSuite(async (t) => {
  const [[one, other], [back, forth]] = await Promise.all([pipe(t), pipe(t)]);
  const [near, far] = [new JoinedPipes(one, back), new JoinedPipes(forth, other)];
  const server = http.createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  const accepted = once(sockets, 'connection') as Promise<[WebSocket]>;
  server.emit('connection', far);
  const client = new WebSocket('ws://localhost/', {
    createConnection: () => near,
    perMessageDeflate: false,
  });
  const [[there]] = await Promise.all([accepted, once(client, 'open')]);
  t.teardown(() => {
    client.terminate();
    there.terminate();
    sockets.close();
  });
  return [new WebMessageSocket(client), new WebMessageSocket(there)];
});
