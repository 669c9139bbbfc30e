/**
 * The servers of one bucket. The lease of each server lists the clients with a session there, so that another server
 * can redirect such a client. Safety does not depend on this: if two servers serve one client, the log decides, and
 * the slower one has acknowledged nothing.
 */
import type { Logger } from 'pino';
import { asTardisError } from '../errors/index.js';
import { type Lease, LEASE_MS } from '../store/index.js';
import type { Clock, System, TcpPlace } from '../system/index.js';

/** Interval at which a lease is renewed. */
const RENEW_MS = 5000;
/** Time for which the leases of other servers are used before they are read again. */
const LOOK_MS = 1000;
/** Maximum time to wait until another server accepts a connection. After it, the server's lease alone counts. */
const PROBE_MS = 1000;

/** The leases of a bucket, and this server's own. */
export interface Leases {
  /** Returns the leases of other servers that are alive. */
  others(): Promise<readonly Lease[]>;
  write(lease: Omit<Lease, 'node'>): Promise<void>;
  remove(): Promise<void>;
}

interface NodesParts {
  readonly system: Pick<System, 'clock' | 'network'>;
  readonly leases: Leases;
  /** The place at which clients reach this server. */
  readonly place: TcpPlace;
  /** Returns the clients that have a session here, and a connection that is alive. */
  readonly clients: () => readonly string[];
  readonly log: Logger;
}

export class Nodes {
  private readonly timer: NodeJS.Timeout;
  /** Resolves when the last write of the lease has ended. Writes run one after the other. */
  private writing: Promise<void> = Promise.resolve();
  private isWriteWaiting = false;
  private hasLease = false;
  private isFailing = false;
  private renewedMs: number;
  private look: { readonly atMs: number; readonly leases: Promise<readonly Lease[]> } | undefined;
  private isClosed = false;

  constructor(private readonly parts: NodesParts) {
    this.renewedMs = this.clock.monotonicMs();
    this.timer = setInterval(() => this.changed(), RENEW_MS);
    this.timer.unref();
  }

  /** True if the lease was renewed within LEASE_MS, or if there are no sessions here. */
  get isRenewed(): boolean {
    if (this.parts.clients().length === 0) return true;
    return this.clock.monotonicMs() - this.renewedMs < LEASE_MS;
  }

  /**
   * Writes the lease soon, unless a write is waiting already. Called when the sessions here have changed, and at
   * intervals.
   */
  changed(): void {
    if (this.isWriteWaiting || this.isClosed) return;
    this.isWriteWaiting = true;
    this.writing = this.writing.then(() => {
      this.isWriteWaiting = false;
      return this.isClosed ? undefined : this.renew();
    });
  }

  /** Returns the other server that has a session of a client; undefined if none is alive. Throws errors of a bucket. */
  async ownerOf(client: string): Promise<TcpPlace | undefined> {
    const { place } = this.parts;
    for (const { clients, host, port } of await this.others()) {
      if (!clients.has(client)) continue;
      // A lease with this address is that of this server before its last start.
      if (host === place.host && port === place.port) continue;
      if (!(await this.isRefused({ host, port }))) return { host, port };
    }
    return undefined;
  }

  /** Removes the lease. Never throws. */
  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.timer);
    await this.writing;
    if (this.hasLease) await this.attempt(() => this.parts.leases.remove());
  }

  private others(): Promise<readonly Lease[]> {
    const atMs = this.clock.monotonicMs();
    if (this.look === undefined || atMs - this.look.atMs >= LOOK_MS) {
      const leases = this.parts.leases.others();
      leases.catch(() => (this.look = undefined)); // the caller gets the error
      this.look = { atMs, leases };
    }
    return this.look.leases;
  }

  private async renew(): Promise<void> {
    const clients = new Set(this.parts.clients());
    const { place, leases } = this.parts;
    if (clients.size === 0 && !this.hasLease) return;
    if (clients.size === 0) {
      await this.attempt(() => leases.remove());
      this.hasLease = false;
      return;
    }
    this.hasLease = true;
    const isDone = await this.attempt(() => leases.write({ ...place, clients }));
    if (isDone) this.renewedMs = this.clock.monotonicMs();
  }

  private async attempt(work: () => Promise<void>): Promise<boolean> {
    const { log } = this.parts;
    try {
      await work();
      if (this.isFailing) log.warn('the lease of this server is renewed again');
      this.isFailing = false;
      return true;
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (!this.isFailing) log.error({ code, reason: message }, 'the lease is not renewed');
      this.isFailing = true;
      return false;
    }
  }

  /** True if a connection to a place is refused, which means that the server there has ended. */
  private isRefused(place: TcpPlace): Promise<boolean> {
    const socket = this.parts.system.network.connect({ kind: 'tcp', ...place });
    return new Promise((resolve) => {
      const end = (isRefused: boolean): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(isRefused);
      };
      const timer = setTimeout(() => end(false), PROBE_MS);
      socket.once('connect', () => end(false));
      socket.on('error', (error) => end('code' in error && error.code === 'ECONNREFUSED'));
    });
  }

  private get clock(): Clock {
    return this.parts.system.clock;
  }
}
