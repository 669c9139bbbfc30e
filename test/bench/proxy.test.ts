import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { Proxy, type ProxyOptions } from '../../bench/proxy.js';

/** Starts an echo server behind a proxy; returns the proxy and a connection to it. */
async function echo(
  t: ExecutionContext,
  options: Omit<ProxyOptions, 'host' | 'port'>,
): Promise<{ proxy: Proxy; socket: Socket }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const proxy = await Proxy.start({ host: '127.0.0.1', port, ...options });
  const socket = connect({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true });
  t.teardown(async () => {
    socket.destroy();
    await proxy.close();
    server.close();
  });
  return { proxy, socket };
}

async function allOf(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of socket) {
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}

/** Resolves once the socket is closed, with or without an error. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('close', () => resolve());
  });
}

test('what goes through a proxy comes back as it was, with its end, and is counted', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 251));
  for (const delayMs of [0, 5]) {
    const { proxy, socket } = await echo(t, { delayMs });
    socket.end(bytes);
    t.true((await allOf(socket)).equals(bytes));
    t.deepEqual([proxy.sentBytes, proxy.answeredBytes], [bytes.length, bytes.length]);
  }
});

test('a round trip takes the delay twice, or longer', async (t) => {
  const { socket } = await echo(t, { delayMs: 60 });
  await once(socket, 'connect');
  const startMs = performance.now();
  socket.write('x');
  await once(socket, 'data');
  t.true(performance.now() - startMs >= 119);
});

test('a link is cut after so many bytes, or by hand', async (t) => {
  const limited = await echo(t, { delayMs: 1, cutAfterBytes: 1000 });
  limited.socket.on('error', () => undefined);
  limited.socket.write(Buffer.alloc(5000));
  await closed(limited.socket);
  t.is(limited.proxy.cuts, 1);
  const { proxy, socket } = await echo(t, { delayMs: 0 });
  socket.on('error', () => undefined);
  socket.write('x');
  await once(socket, 'data');
  proxy.cut();
  await closed(socket);
  t.is(proxy.cuts, 1);
});
