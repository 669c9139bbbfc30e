/**
 * A link within one process. Messages pass from end to end without frames, sockets or descriptors. They are copied once, or
 * given away, so that each end owns what it has. Otherwise it behaves as a WebSocket: nothing arrives within the call that sends it, a
 * paused end receives nothing, and whatever was sent before an orderly end arrives.
 */
import { bufferOf } from '../model/index.js';
import type { MessageSocket, SocketEvents } from './message-socket.js';

/** Close code of a link that was cut. */
const CODE_CUT = 1006;
/** Bytes that arrive in one turn of the event loop. Other events then have their turn. */
const MAX_TURN_BYTES = 4 << 20;
/** Number of places in the queue of an end that are removed at once, since each removal copies the queue. */
const REMOVED_AT_ONCE = 1024;
/** Interval of the timer that keeps the process alive while a link is open, as a socket would. */
const HOLD_MS = 3_600_000;

/** An item that one end has sent and the other one has not received yet. */
type Sent =
  | { readonly kind: 'message'; readonly parts: readonly Uint8Array[]; readonly bytes: number }
  | { readonly kind: 'given'; readonly message: Uint8Array; readonly bytes: number }
  | { readonly kind: 'ping'; readonly data: Buffer; readonly bytes: number }
  | { readonly kind: 'pong'; readonly data: Buffer; readonly bytes: number }
  | { readonly kind: 'close'; readonly code: number; readonly bytes: 0 };

/** Returns the two ends of a new link. */
export function innerSockets(): [MessageSocket, MessageSocket] {
  const [one, other] = [new InnerSocket(), new InnerSocket()];
  one.join(other);
  other.join(one);
  return [one, other];
}

class InnerSocket implements MessageSocket {
  private state: 'open' | 'closing' | 'closed' = 'open';
  private isPaused = false;
  private isScheduled = false;
  /** Items from the other end, in order; those from `next` on were not received yet. The credit of the sender bounds them. */
  private arrived: (Sent | undefined)[] = [];
  private next = 0;
  private arrivedBytes = 0;
  private events: SocketEvents | undefined;
  private peer: InnerSocket | undefined;
  private readonly hold = setInterval(() => undefined, HOLD_MS);

  join(peer: InnerSocket): void {
    this.peer = peer;
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  get bufferedBytes(): number {
    return this.peer?.arrivedBytes ?? 0;
  }

  listen(events: SocketEvents): void {
    this.events = events;
    this.schedule();
  }

  send(...parts: readonly Uint8Array[]): void {
    if (this.isOpen) this.peer?.take({ kind: 'message', parts, bytes: sizeOf(parts) });
  }

  sendLast(message: Uint8Array): void {
    if (this.isOpen) this.peer?.take({ kind: 'given', message, bytes: message.length });
  }

  ping(data: Buffer | string): void {
    const sent = typeof data === 'string' ? Buffer.from(data) : data;
    if (this.isOpen) this.peer?.take({ kind: 'ping', data: sent, bytes: sent.length });
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.schedule();
  }

  close(code: number): void {
    if (!this.isOpen) return;
    this.state = 'closing';
    this.peer?.take({ kind: 'close', code, bytes: 0 });
  }

  terminate(): void {
    if (this.state === 'closed') return;
    this.close(CODE_CUT);
    this.drop();
    setImmediate(() => this.end(CODE_CUT));
  }

  /** Receives what the other end has sent. */
  private take(sent: Sent): void {
    if (this.state === 'closed') return;
    this.arrived.push(sent);
    this.arrivedBytes += sent.bytes;
    this.schedule();
  }

  private schedule(): void {
    if (this.isScheduled || this.isPaused || this.next === this.arrived.length) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      this.deliver();
      this.schedule();
    });
  }

  private deliver(): void {
    const { events } = this;
    for (let bytes = 0; bytes <= MAX_TURN_BYTES && !this.isPaused; ) {
      const sent = this.arrived[this.next];
      if (sent === undefined || events === undefined) break;
      this.arrived[this.next] = undefined; // frees its memory
      this.next += 1;
      this.arrivedBytes -= sent.bytes;
      bytes += sent.bytes;
      this.handle(sent, events);
    }
    if (this.next < REMOVED_AT_ONCE && this.next < this.arrived.length) return;
    this.arrived = this.arrived.slice(this.next);
    this.next = 0;
  }

  /** Forgets what was not received yet. */
  private drop(): void {
    this.arrived = [];
    this.next = 0;
    this.arrivedBytes = 0;
  }

  private handle(sent: Sent, events: SocketEvents): void {
    if (sent.kind === 'message') {
      const { parts, bytes } = sent;
      // A sender that has failed may have freed a message before it was received. The link then counts as cut.
      if (sizeOf(parts) === bytes) events.message(Buffer.concat(parts), false);
      else this.terminate();
    } else if (sent.kind === 'given') {
      events.message(bufferOf(sent.message), false);
    } else if (sent.kind === 'ping') {
      events.ping();
      if (this.isOpen) this.peer?.take({ ...sent, kind: 'pong' });
    } else if (sent.kind === 'pong') {
      events.pong(sent.data);
    } else {
      this.close(sent.code); // unless this end closed first
      this.end(sent.code);
    }
  }

  private end(code: number): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.drop();
    clearInterval(this.hold);
    this.events?.closed(code);
  }
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
