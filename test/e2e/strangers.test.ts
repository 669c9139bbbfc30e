/** What connections cost a server before their login, and what they cannot do to those who have one. */
import fs from 'node:fs';
import tls from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { encodeMessage } from '../../src/transport/index.js';
import { certificateIn } from '../helpers/certificates.js';
import { backup, pause, Server, succeed } from '../helpers/commands.js';
import { helloOf } from '../helpers/greetings.js';
import { lab } from '../helpers/settings.js';

const KIB = 1024;
const MAX_BYTES = 64 * KIB;
const CONNECTIONS = 200;
const WARM = 50;
const ROUNDS = 6;
/** Of the first 4 KiB what no whole message uses. */
const LEFT_OPEN_BYTES = 3.5 * KIB;

/** What a process has to itself, shared pages by parts. */
function memoryBytes(pid: number): number {
  const rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)![1]) * KIB;
}

/** Greets, has its challenge, and then leaves a message half sent. */
async function stranger(port: number, place: number): Promise<WebSocket> {
  let raw: tls.TLSSocket;
  const socket = new WebSocket('ws://localhost/', {
    createConnection: () => {
      // A few from each address, and none from that of whoever has a password.
      const localAddress = `127.1.${place >> 8}.${place & 255 || 255}`;
      const wish = { port, host: '127.0.0.1', localAddress, rejectUnauthorized: false };
      return (raw = tls.connect(wish));
    },
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('open', () => socket.send(encodeMessage('hello', helloOf('me')).head));
    socket.once('message', () => resolve());
  });
  socket.on('error', () => undefined);
  const frame = Buffer.alloc(LEFT_OPEN_BYTES, 0x55);
  frame.set([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0x40, 0]); // binary, masked, of 16 KiB
  raw!.write(frame);
  return socket;
}

/** What each of many connections takes of a new server's memory, while one with a password gets in. */
async function memoryOfEach(t: ExecutionContext): Promise<number> {
  const { top, store, place, source } = lab(t);
  const { certFile, keyFile } = await certificateIn(top);
  await succeed('sonic', ['create', ...place, '-P', 'secret']);
  const pair = ['--ssl', '--certfile', certFile, '--keyfile', keyFile, '--address', '127.0.0.1'];
  const server = await Server.start(store, pair);
  t.teardown(() => server.kill());
  const { pid } = server.running; // the launcher has become it
  const open: WebSocket[] = [];
  const fill = async (connections: number): Promise<void> => {
    for (let count = 0; count < connections; count += 1) {
      open.push(await stranger(server.port, 1 + (open.length >> 3)));
    }
    await pause(300);
  };
  await fill(WARM);
  const before = memoryBytes(pid);
  await fill(CONNECTIONS);
  const each = (memoryBytes(pid) - before) / CONNECTIONS;
  t.true(open.every(({ readyState }) => readyState === WebSocket.OPEN));
  const to = ['-C', 'me', '--server', '127.0.0.1', '--port', String(server.port)];
  await backup([...to, '-P', 'secret', source]);
  for (const socket of open) socket.terminate();
  await server.stop();
  return each;
}

test('a connection takes at most 64 KiB before its login, by TLS too', async (t) => {
  t.timeout(20 * 60_000);
  // What the collector has not got round to counts too, and is more or less by chance: the least is closest.
  let least = Infinity;
  for (let round = 0; round < ROUNDS && least > MAX_BYTES; round += 1) {
    const each = await memoryOfEach(t);
    t.log(`${(each / KIB).toFixed(1)} KiB each`);
    least = Math.min(least, each);
  }
  t.true(least <= MAX_BYTES, `${least} bytes each`);
});
