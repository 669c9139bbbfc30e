/**
 * What strangers may take from a server: connections that have not logged in. Each has a deadline, and
 * they are few, in all and from one address. When they are too many, the oldest one of the address that
 * has the most goes: who fills the place makes room for the others himself.
 */
import type { Socket } from 'node:net';
import { addressGroup } from '../system/index.js';

export interface GateLimits {
  /** From the connection's first moment until it is admitted. */
  readonly deadlineMs: number;
  /** Connections that wait, in all and from one address. */
  readonly maxWaiting: number;
  readonly maxPerAddress: number;
}

export const DEFAULT_GATE: GateLimits = Object.freeze({
  deadlineMs: 60_000,
  maxWaiting: 256,
  maxPerAddress: 192, // many clients may share one, and begin at the same minute
});

/** Those of a unix socket have no address. */
const NO_ADDRESS = '';

interface Stranger {
  readonly key: string | Socket;
  readonly socket: Socket;
  readonly address: string;
  readonly timer: NodeJS.Timeout;
  /** Tells why and cuts; set by who speaks with it. */
  cut: () => void;
}

export class Gate {
  /** By what identifies a connection on either side of TLS. */
  private readonly strangers = new Map<string | Socket, Stranger>();
  private readonly byAddress = new Map<string, Set<Stranger>>();
  private readonly limits: GateLimits;

  constructor(limits: GateLimits) {
    this.limits = limits;
  }

  /** Connections that have not been admitted. */
  get waiting(): number {
    return this.strangers.size;
  }

  /** A connection has come: room is made for it. */
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

  /** At its deadline it is told first. The socket may be the one on the inner side of TLS. */
  onLate(socket: Socket, tell: () => void): void {
    const stranger = this.strangers.get(keyOf(socket));
    if (stranger !== undefined) stranger.cut = tell;
  }

  /** It has logged in. */
  admit(socket: Socket): void {
    const stranger = this.strangers.get(keyOf(socket));
    if (stranger !== undefined) this.leave(stranger);
  }

  /** Cuts all that wait. */
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

/** The outer and the inner side of TLS are two objects with one peer; a unix socket has no peer's name. */
function keyOf(socket: Socket): string | Socket {
  const { remoteAddress, remotePort } = socket;
  return remoteAddress === undefined ? socket : `${remoteAddress}|${remotePort}`;
}
