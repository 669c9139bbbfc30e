import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * Maximum number of bytes in flight in one direction of a connection. Above it, the proxy stops reading from the
 * sender.
 */
const ON_THE_WAY_MAX_BYTES = 64 << 20;

/** The target of a proxy, and its effects on a connection. */
export interface ProxyOptions {
  readonly host: string;
  readonly port: number;
  /** Delay in each direction; a round trip takes twice as long. */
  readonly delayMs: number;
  /** Number of bytes sent to the server after which a connection is cut; undefined to cut none. */
  readonly cutAfterBytes?: number;
}

/**
 * A TCP proxy on loopback that delays or cuts connections. It does not limit the rate: all bytes arrive in order, each
 * later by the delay only.
 */
export class Proxy {
  /** Bytes sent to the server by all connections. */
  sentBytes = 0;
  /** Bytes that the server sent back. */
  answeredBytes = 0;
  connections = 0;
  /** Number of cuts. */
  cuts = 0;
  readonly #options: ProxyOptions;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(options: ProxyOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Starts a proxy on a port that the system chooses. */
  static async start(options: ProxyOptions): Promise<Proxy> {
    const proxy = new Proxy(options);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen({ host: '127.0.0.1', port: 0 }, resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resets every open connection. New connections are still accepted. */
  cut(): void {
    for (const socket of this.#sockets) {
      resetSocket(socket);
    }
    this.#sockets.clear();
    this.cuts++;
  }

  /** Closes the remaining connections and stops. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #accept(client: Socket): void {
    this.connections++;
    const { host, port, delayMs, cutAfterBytes = Infinity } = this.#options;
    const server = connect({ host, port, noDelay: true, allowHalfOpen: true });
    let toServer = 0;
    const end = (): void => {
      for (const socket of [client, server]) {
        socket.destroy();
        this.#sockets.delete(socket);
      }
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', end);
      // The other direction may still have bytes in flight. When both sockets are closed, these bytes are lost.
      socket.on('close', () => this.#sockets.delete(socket));
    }
    delayed(client, server, delayMs, (bytes) => {
      this.sentBytes += bytes;
      toServer += bytes;
      if (toServer < cutAfterBytes) {
        return true;
      }
      this.cuts++;
      resetSocket(client);
      resetSocket(server);
      return false;
    });
    delayed(server, client, delayMs, (bytes) => {
      this.answeredBytes += bytes;
      return true;
    });
  }
}

/** Forwards bytes when they are due. Calls `passing` first, and forwards nothing if it returns false. */
function delayed(
  from: Socket,
  to: Socket,
  delayMs: number,
  passing: (bytes: number) => boolean,
): void {
  const queue: { readonly dueMs: number; readonly bytes: Buffer | undefined }[] = [];
  let waitingBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const pass = (): void => {
    timer = undefined;
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      const waitMs = first.dueMs - performance.now();
      if (waitMs > 0) {
        timer = setTimeout(pass, waitMs);
        break;
      }
      queue.shift();
      if (to.destroyed) {
        continue;
      }
      if (first.bytes === undefined) {
        to.end();
        continue;
      }
      waitingBytes -= first.bytes.length;
      if (!passing(first.bytes.length)) {
        return;
      }
      to.write(first.bytes);
    }
    // Bytes that the receiver does not read count as in flight.
    if (from.isPaused() && waitingBytes + to.writableLength < ON_THE_WAY_MAX_BYTES) {
      from.resume();
    }
  };
  const add = (bytes: Buffer | undefined): void => {
    queue.push({ dueMs: performance.now() + delayMs, bytes });
    waitingBytes += bytes?.length ?? 0;
    if (waitingBytes + to.writableLength >= ON_THE_WAY_MAX_BYTES) {
      from.pause();
    }
    if (timer === undefined) {
      if (delayMs === 0) {
        pass();
      } else {
        timer = setTimeout(pass, delayMs);
      }
    }
  };
  from.on('data', add);
  from.on('end', () => add(undefined));
  to.on('drain', pass);
  to.on('close', () => {
    clearTimeout(timer); // the receiver has gone, and the delay may be long
    queue.length = 0;
  });
}

/**
 * Resets a connection. If its shutdown has begun, only closes it. A reset during the shutdown fails in libuv (EINVAL of
 * `uv_tcp_close_reset`). Node then treats a handle as closed that never closes. A worker thread with such a handle
 * cannot end, and loops forever in its clean-up (seen with Node 20.20).
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
