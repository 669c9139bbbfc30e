/** Making connections: listening on a unix socket or loopback, and connecting to one. */
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { TardisError } from '../errors/index.js';
import {
  type Address,
  checkSocketPath,
  describeAddress,
  hostInUrl,
  type System,
} from '../system/index.js';
import { Connection } from './connection.js';

/** Larger than any row of the message table. */
const MAX_MESSAGE_BYTES = 17 << 20;
const CONNECT_TIMEOUT_MS = 30_000;
const BACKLOG_CONNECTIONS = 128;
const HTTP_HEAD_BYTES = 8 << 10;

export interface LinkOptions {
  readonly pingMs: number;
  readonly timeoutMs: number;
  readonly compressHeads: boolean;
}

export const DEFAULT_LINK: LinkOptions = Object.freeze({
  pingMs: 5000,
  timeoutMs: 300_000,
  compressHeads: false,
});

export interface Listener {
  readonly address: Address;
  /** Stops accepting; open connections stay. */
  close(): Promise<void>;
}

/** Listens until closed. Throws LISTEN_FAILED, CONFIG_INVALID for too long a path. A unix socket gets mode 0600. */
export async function listen(
  system: System,
  address: Address,
  link: LinkOptions,
  onConnection: (connection: Connection) => void,
): Promise<Listener> {
  if (address.kind === 'unix') checkSocketPath(address.path);
  const server = http.createServer({ maxHeaderSize: HTTP_HEAD_BYTES }, (_request, response) => {
    response.writeHead(426).end();
  });
  const sockets = new WebSocketServer({
    server,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    // A browser always sends its page's origin: no page may open a session with a local server.
    verifyClient: ({ origin }: { origin: string | undefined }) => origin === undefined,
  });
  sockets.on('connection', (socket) => {
    onConnection(new Connection(socket, { ...link, receives: 'to-server', clock: system.clock }));
  });
  sockets.on('error', () => undefined); // the same error reaches the server's own listener below
  await removeStaleSocket(address);
  await start(server, address);
  return {
    address: boundAddress(server, address),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        sockets.close();
        server.closeAllConnections(); // half-sent requests; sessions have left HTTP behind
      }),
  };
}

/** A socket that nobody listens on is what a killed server has left. */
async function removeStaleSocket(address: Address): Promise<void> {
  if (address.kind !== 'unix') return;
  if (fs.lstatSync(address.path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const isStale = await new Promise<boolean>((resolve) => {
    const probe = net.connect({ path: address.path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
  if (isStale) fs.unlinkSync(address.path);
}

function start(server: http.Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new TardisError(
          'LISTEN_FAILED',
          `cannot listen on ${describeAddress(address)}: ${error.message}`,
          {},
          error,
        ),
      );
    });
    if (address.kind === 'unix') {
      const umask = process.umask(0o177); // the socket is 0600 from its first moment
      server.listen({ path: address.path, backlog: BACKLOG_CONNECTIONS }, () => {
        fs.chmodSync(address.path, 0o600);
        resolve();
      });
      process.umask(umask);
    } else {
      server.listen(
        { host: address.host, port: address.port, backlog: BACKLOG_CONNECTIONS },
        resolve,
      );
    }
  });
}

/** With port 0 the system chose one. */
function boundAddress(server: http.Server, address: Address): Address {
  if (address.kind === 'unix') return address;
  const bound = server.address() as net.AddressInfo;
  return { kind: 'tcp', host: address.host, port: bound.port };
}

/** The mask guards proxies on the way against crafted bytes; on a unix socket there are none. */
function zeroMask(mask: Buffer): void {
  mask.fill(0);
}

/** Connects. Throws SERVER_UNREACHABLE, and TIMED_OUT when a server says nothing. */
export function connect(system: System, address: Address, link: LinkOptions): Promise<Connection> {
  const host = address.kind === 'tcp' ? `${hostInUrl(address.host)}:${address.port}` : 'localhost';
  const startMs = system.clock.monotonicMs();
  const socket = new WebSocket(`ws://${host}/`, {
    createConnection: () => system.network.connect(address),
    ...(address.kind === 'unix' ? { generateMask: zeroMask } : {}),
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    skipUTF8Validation: true,
  });
  return new Promise((resolve, reject) => {
    // Not ws's own handshakeTimeout: it has no effect on a connection that others make.
    const patienceMs = Math.min(CONNECT_TIMEOUT_MS, link.timeoutMs);
    const timer = setTimeout(() => {
      const where = describeAddress(address);
      const text = `no answer from ${where} in ${patienceMs / 1000} s`;
      reject(new TardisError('TIMED_OUT', text));
      socket.terminate(); // its error finds the promise settled
    }, patienceMs);
    socket.once('open', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      const { clock } = system;
      const roundTripMs = address.kind === 'unix' ? 0 : clock.monotonicMs() - startMs;
      resolve(new Connection(socket, { ...link, receives: 'to-client', clock, roundTripMs }));
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(
        new TardisError(
          'SERVER_UNREACHABLE',
          `cannot reach the server at ${describeAddress(address)}: ${error.message}`,
          {},
          error,
        ),
      );
    });
  });
}
