import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { resetSocket } from '../../bench/proxy.js';
import { listening } from '../helpers/listener.js';

async function connection(t: ExecutionContext) {
  const server = createServer((socket) => socket.on('error', () => undefined));
  const port = await listening(t, server);
  const socket = connect({ host: '127.0.0.1', port });
  const [[other]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')]);
  return { socket, other: (other as typeof socket).resume() };
}

test('a connection that is reset ends with an error for the other side', async (t) => {
  const { socket, other } = await connection(t);
  const heard = once(other, 'error') as Promise<[NodeJS.ErrnoException]>;
  resetSocket(socket);
  await once(socket, 'close');
  const [{ code }] = await heard;
  t.is(code, 'ECONNRESET');
});

test('a socket whose end was announced closes all the same', async (t) => {
  const { socket, other } = await connection(t);
  const gone = once(other, 'close');
  socket.end();
  resetSocket(socket);
  await Promise.all([once(socket, 'close'), gone]);
  t.true(socket.closed);
});
