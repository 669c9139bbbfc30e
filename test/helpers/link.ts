/**
 * A link between a client and a server in this process. It can delay, cut after a number of bytes in either
 * direction or at the next bytes of a client, stall, and replay recorded bytes to a server. All of it follows from a seed; TEST_SEED replays one.
 */
import net from 'node:net';
import type { ExecutionContext } from 'ava';
import { seededRandom } from '../support/seeded-random.js';
import { resetSocket } from '../../bench/proxy.js';

export type Way = 'to-server' | 'to-client';

/** The end of one connection. */
export interface Fate {
  /** The direction whose bytes are counted. */
  readonly way: Way;
  /** Number of bytes that get through. */
  readonly afterBytes: number;
  /**
   * `reset`: bytes in flight are lost as well; `end`: bytes that got through arrive; `stall`: neither side is
   * notified.
   */
  readonly how: 'reset' | 'end' | 'stall';
}

export interface LinkOptions {
  /** Returns the server's port. Called for each connection, since a restarted server may have another port. */
  readonly port: () => number;
  readonly delayMs?: number;
  /** Fates of the connections, in their order; later connections are never cut. */
  readonly fates?: readonly Fate[];
  /** True to record the clients' bytes, for `replay`. */
  readonly records?: boolean;
}

/** More bytes than the upgrade to a WebSocket takes, in either direction. */
export const UPGRADE_BYTES = 300;
const MAX_RECORDED_BYTES = 64 << 20;

/** Returns fates at random positions within these numbers of bytes in each direction. */
export function randomFates(
  seed: number,
  count: number,
  bytes: Readonly<Record<Way, number>>,
): Fate[] {
  const { next } = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const way: Way = next() < 0.7 ? 'to-server' : 'to-client';
    // Each connection after the first resumes where the previous one was cut.
    const most = bytes[way] / Math.max(1, count / 2);
    // A server that is unreachable at first is reported at once, so the first connection survives the upgrade.
    const afterBytes = Math.floor(next() ** 2 * most) + (index === 0 ? UPGRADE_BYTES : 0);
    return { way, afterBytes, how: next() < 0.5 ? 'reset' : 'end' };
  });
}

interface Pair {
  readonly client: net.Socket;
  readonly server: net.Socket;
  readonly heard: Buffer[];
}

export class Link {
  /** Bytes that got through, of all connections. */
  readonly bytes: Record<Way, number> = { 'to-server': 0, 'to-client': 0 };
  connections = 0;
  /** Number of connections that were cut. */
  cuts = 0;
  private cutsToCome = 0;
  private readonly pairs: Pair[] = [];
  private readonly open = new Set<net.Socket>();
  private readonly options: LinkOptions;
  private readonly listener: net.Server;

  private constructor(options: LinkOptions) {
    this.options = options;
    this.listener = net.createServer({ noDelay: true, allowHalfOpen: true }, (client) =>
      this.accept(client),
    );
  }

  static async start(options: LinkOptions): Promise<Link> {
    const link = new Link(options);
    await new Promise<void>((resolve, reject) => {
      link.listener.once('error', reject);
      link.listener.listen(0, '127.0.0.1', resolve);
    });
    return link;
  }

  /** Starts a link to a port of this machine; it is closed when the test is over. */
  static async during(t: Pick<ExecutionContext, 'teardown'>, port: number): Promise<Link> {
    const link = await Link.start({ port: () => port });
    t.teardown(() => link.close());
    return link;
  }

  get port(): number {
    return (this.listener.address() as net.AddressInfo).port;
  }

  /** Resets all open connections; new ones are accepted. */
  cut(): void {
    for (const socket of this.open) resetSocket(socket);
    this.cuts += 1;
  }

  /** Ends a connection at the next bytes of its client, before the server gets them; so many times. */
  cutNext(times = 1): void {
    this.cutsToCome = times;
  }

  /** Stops forwarding on all connections without closing them; new ones are accepted. */
  stall(): void {
    for (const { client, server } of this.pairs) {
      client.removeAllListeners('data').pause();
      server.removeAllListeners('data').pause();
    }
  }

  /**
   * Sends the bytes that a client sent over connection `index` to the server, over a new connection. Resolves
   * with all answers once the server closes it or `forMs` milliseconds are over.
   */
  async replay(index: number, forMs: number): Promise<Buffer> {
    const socket = net.connect({ host: '127.0.0.1', port: this.options.port() });
    const answers: Buffer[] = [];
    socket.on('data', (bytes) => answers.push(bytes)).on('error', () => undefined);
    for (const bytes of this.pairs[index]!.heard) socket.write(bytes);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, forMs);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    socket.destroy();
    return Buffer.concat(answers);
  }

  async close(): Promise<void> {
    for (const socket of this.open) socket.destroy();
    await new Promise((resolve) => this.listener.close(resolve));
  }

  private accept(client: net.Socket): void {
    const server = net.connect({
      host: '127.0.0.1',
      port: this.options.port(),
      noDelay: true,
      allowHalfOpen: true,
    });
    const pair: Pair = { client, server, heard: [] };
    this.pairs.push(pair);
    const fate = this.options.fates?.[this.connections];
    this.connections += 1;
    for (const socket of [client, server]) {
      this.open.add(socket);
      socket.on('error', () => this.end(pair, 'reset'));
      socket.on('close', () => this.open.delete(socket));
    }
    this.pass(pair, 'to-server', fate);
    this.pass(pair, 'to-client', fate);
  }

  private pass(pair: Pair, way: Way, fate: Fate | undefined): void {
    const [from, to] =
      way === 'to-server' ? [pair.client, pair.server] : [pair.server, pair.client];
    let passed = 0;
    let isMet = false;
    from.on('data', (bytes: Buffer) => {
      if (isMet) return;
      if (way === 'to-server' && this.cutsToCome > 0) {
        isMet = true;
        this.cutsToCome -= 1;
        this.cuts += 1;
        this.end(pair, 'end');
        return;
      }
      const mine = fate?.way === way ? fate : undefined;
      const fits = mine === undefined ? bytes : bytes.subarray(0, mine.afterBytes - passed);
      passed += fits.length;
      this.bytes[way] += fits.length;
      if (way === 'to-server') this.record(pair, fits);
      this.later(() => {
        if (!to.destroyed && fits.length > 0 && !to.write(fits)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
      if (mine === undefined || passed < mine.afterBytes) return;
      isMet = true;
      this.cuts += 1;
      this.later(() => this.end(pair, mine.how));
    });
    from.on('end', () => this.later(() => to.end()));
  }

  private record({ heard }: Pair, bytes: Buffer): void {
    if (this.options.records !== true) return;
    const sum = heard.reduce((total, piece) => total + piece.length, 0);
    if (sum + bytes.length <= MAX_RECORDED_BYTES) heard.push(Buffer.from(bytes));
  }

  private later(call: () => void): void {
    const { delayMs = 0 } = this.options;
    if (delayMs === 0) call();
    else setTimeout(call, delayMs);
  }

  private end({ client, server }: Pair, how: Fate['how']): void {
    for (const socket of [client, server]) {
      if (how === 'reset') resetSocket(socket);
      else if (how === 'end') socket.destroySoon();
      else socket.removeAllListeners('data').pause();
    }
  }
}
