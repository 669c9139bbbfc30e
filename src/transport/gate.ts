/**
 * Limits for connections that have not logged in. Each has a deadline, and their number is limited in total and for
 * each address. If an address has too many, its oldest connection is cut. If there are too many in total, the oldest
 * connection of the address with the most is cut. So an attacker who opens many connections loses those first.
 */
import type { Socket } from 'node:net';
import { addressGroup } from '../system/index.js';

export interface GateLimits {
  /** Maximum time from accepting a connection to its login. */
  readonly deadlineMs: number;
  /** Maximum number of connections without a login, in total. `maxPerAddress` is the maximum from one address. */
  readonly maxWaiting: number;
  readonly maxPerAddress: number;
}

export const DEFAULT_GATE: GateLimits = Object.freeze({
  deadlineMs: 60_000,
  maxWaiting: 256,
  maxPerAddress: 192, // many clients may share one address, and start in the same minute
});

/** Address of all unix socket connections. */
const NO_ADDRESS = '';

interface Stranger {
  readonly key: string | Socket;
  readonly socket: Socket;
  readonly address: string;
  readonly timer: NodeJS.Timeout;
  /** Ends the connection; replaced by a function that sends the reason first. */
  cut: () => void;
}

export class Gate {
  /** Connections without a login, by a key that is equal for the sockets outside and inside TLS. */
  private readonly strangers = new Map<string | Socket, Stranger>();
  private readonly byAddress = new Map<string, Set<Stranger>>();

  constructor(private readonly limits: GateLimits) {}

  /** Number of connections that have not logged in. */
  get waiting(): number {
    return this.strangers.size;
  }

  /**
   * Registers a new connection, and cuts it after `deadlineMs` unless it has logged in. Cuts an old connection if there
   * are too many.
   */
  enter(socket: Socket): void {
    const { deadlineMs, maxWaiting, maxPerAddress } = this.limits;
    const address = addressGroup(socket.remoteAddress);
    const crowd = this.byAddress.get(address);
    if (address !== NO_ADDRESS && (crowd?.size ?? 0) >= maxPerAddress) this.dropOldest(crowd);
    else if (this.strangers.size >= maxWaiting) this.dropOldest(this.largest());
    const ofAddress = this.byAddress.get(address) ?? new Set<Stranger>();
    this.byAddress.set(address, ofAddress);
    const key = keyOf(socket);
    const stranger: Stranger = {
      key,
      socket,
      address,
      timer: setTimeout(() => stranger.cut(), deadlineMs),
      cut: () => socket.destroy(),
    };
    stranger.timer.unref();
    this.strangers.set(key, stranger);
    ofAddress.add(stranger);
    socket.once('close', () => this.leave(stranger));
  }

  /**
   * Sets a function that is called at the deadline, instead of destroying the socket. The socket may be the one
   * inside TLS.
   */
  onLate(socket: Socket, onTimeout: () => void): void {
    const stranger = this.strangers.get(keyOf(socket));
    if (stranger !== undefined) stranger.cut = onTimeout;
  }

  /** Removes the limits of a connection that has logged in. */
  admit(socket: Socket): void {
    const stranger = this.strangers.get(keyOf(socket));
    if (stranger !== undefined) this.leave(stranger);
  }

  /** Cuts all connections that have not logged in. */
  close(): void {
    for (const stranger of this.strangers.values()) {
      this.leave(stranger);
      stranger.socket.destroy();
    }
  }

  private dropOldest(among: ReadonlySet<Stranger> | undefined): void {
    for (const stranger of among ?? []) {
      this.leave(stranger);
      stranger.socket.destroy();
      return;
    }
  }

  private leave(stranger: Stranger): void {
    clearTimeout(stranger.timer);
    if (this.strangers.get(stranger.key) === stranger) this.strangers.delete(stranger.key);
    const ofAddress = this.byAddress.get(stranger.address);
    ofAddress?.delete(stranger);
    if (ofAddress?.size === 0) this.byAddress.delete(stranger.address);
  }

  private largest(): ReadonlySet<Stranger> | undefined {
    let largest: ReadonlySet<Stranger> | undefined;
    for (const ofAddress of this.byAddress.values()) {
      if (ofAddress.size > (largest?.size ?? 0)) largest = ofAddress;
    }
    return largest;
  }
}

/**
 * Returns the key of a connection. The sockets outside and inside TLS are two objects with the same remote address
 * and port; a unix socket has neither.
 */
function keyOf(socket: Socket): string | Socket {
  const { remoteAddress, remotePort } = socket;
  return remoteAddress === undefined ? socket : `${remoteAddress}|${remotePort}`;
}
