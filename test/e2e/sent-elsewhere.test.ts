// Pace: slow
/** Servers that send a client to another server although they should not. */
import fs from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { WebSocketServer } from 'ws';
import { encodeMessage, PROTOCOL_VERSION } from '../../src/transport/index.js';
import { backupsRunHere, run, poolsStayAway, succeed } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';

backupsRunHere();
poolsStayAway();

/** Most connections of one attempt: the first one, and as many as a client is sent on. */
const MOST_CONNECTIONS = 5;

interface Place {
  readonly host?: string;
  readonly port?: number;
  /** True to name it in an error. */
  readonly isError?: boolean;
  /** The store that is copied to the server; undefined for a backup. */
  readonly from?: string;
}

interface Sent {
  readonly code: string;
  readonly connections: number;
}

/** Backs up to a server that answers the greeting by sending the client on; without `host`, to itself. */
async function sendOn(
  t: ExecutionContext,
  { host = '127.0.0.1', port: there, isError = false, from }: Place,
  args: readonly string[] = [],
): Promise<Sent> {
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  t.teardown(() => sockets.close());
  await new Promise((resolve) => sockets.once('listening', resolve));
  const { port } = sockets.address() as AddressInfo;
  const elsewhere = { protocol: PROTOCOL_VERSION, host, port: there ?? port };
  let connections = 0;
  sockets.on('connection', (socket) => {
    connections += 1;
    socket.on('error', () => undefined); // the client may cut the connection
    socket.once('message', () => {
      const context = { host, port: elsewhere.port };
      const error = { code: 'CLIENT_ELSEWHERE', message: 'go there', context };
      const answer = isError
        ? encodeMessage('error', error)
        : encodeMessage('elsewhere', { ...elsewhere, proof: Buffer.alloc(32) });
      socket.send(answer.head, () => (isError ? socket.close() : undefined));
    });
  });
  const source = scratchInMemory(t);
  fs.writeFileSync(path.join(source, 'a'), 'text');
  const words = ['-C', 'me', '--insecure-tcp', '--port', String(port), '--json', ...args];
  const { stdout } =
    from === undefined
      ? await run('tardis', ['--reconnect', '0', ...words, source])
      : await run('sonic', [
          'copy',
          '-D',
          from,
          '--reconnect',
          '0',
          ...words,
          '--to-server',
          '127.0.0.1',
        ]);
  return { code: (JSON.parse(stdout) as { error: { code: string } }).error.code, connections };
}

/** Makes a store with one client, and returns its path. */
async function storeToCopy(t: ExecutionContext): Promise<string> {
  const [store, source] = [path.join(scratchInMemory(t), 'store'), scratchInMemory(t)];
  fs.writeFileSync(path.join(source, 'a'), 'text');
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', '--create', source]);
  return store;
}

test('a client that is sent on for ever ends after a few connections', async (t) => {
  const { code, connections } = await sendOn(t, {});
  t.is(code, 'CLIENT_ELSEWHERE');
  t.is(connections, MOST_CONNECTIONS);
});

test('a server that has not proven itself sends a client with a password nowhere', async (t) => {
  const secret = path.join(scratchInMemory(t), 'secret');
  fs.writeFileSync(secret, 'a secret', { mode: 0o600 });
  const { code, connections } = await sendOn(t, {}, ['--password-file', secret]);
  t.is(code, 'PASSWORD_NOT_SET');
  t.is(connections, 1);
});

test('the place to which a client is sent makes its connection no less safe', async (t) => {
  for (const [place, wanted] of [
    [{ host: 'server.invalid' }, 'INSECURE_TCP_REFUSED'],
    [{ host: '/run/other.socket' }, 'CONFIG_INVALID'],
    [{ host: 'https://localhost/' }, 'CONFIG_INVALID'],
    [{ host: '127.0.0.1,server.invalid' }, 'INSECURE_TCP_REFUSED'],
    [{ host: '\u001b[31m' }, 'CONFIG_INVALID'],
    [{ host: '' }, 'CONFIG_INVALID'],
    [{ port: 0 }, 'CONFIG_INVALID'],
    [{ port: 70_000 }, 'CONFIG_INVALID'],
  ] as const) {
    const { code, connections } = await sendOn(t, place);
    t.is(code, wanted, JSON.stringify(place));
    t.is(connections, 1);
  }
});

test('a copy that is sent on ends after a few connections, and goes nowhere less safe', async (t) => {
  const from = await storeToCopy(t);
  const { code, connections } = await sendOn(t, { from });
  t.is(code, 'CLIENT_ELSEWHERE');
  t.is(connections, MOST_CONNECTIONS);
  const far = await sendOn(t, { from, host: 'server.invalid' });
  t.deepEqual(far, { code: 'INSECURE_TCP_REFUSED', connections: 1 });
  t.deepEqual(await sendOn(t, { from, isError: true }), {
    code: 'CLIENT_ELSEWHERE',
    connections: 1,
  });
});

test('an error that names a place sends nobody there', async (t) => {
  const { code, connections } = await sendOn(t, { isError: true });
  t.is(code, 'CLIENT_ELSEWHERE');
  t.is(connections, 1);
});
