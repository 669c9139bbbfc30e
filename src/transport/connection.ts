/**
 * One link that carries our messages; both ends use this class. It sends encoded messages, passes received
 * bytes to one listener, and keeps the link alive with pings. It ends in one way only: the promise `closed`
 * resolves with the reason (undefined for a normal end).
 *
 * Backpressure: a receiver that is too slow calls `pause`; a sender reads `bufferedBytes`.
 */
import {
  asTardisError,
  fromWire,
  protocolViolation,
  TardisError,
  toWire,
} from '../errors/index.js';
import type { Clock } from '../system/index.js';
import { decodeMessage, type EncodedMessage, encodeMessage, peekMessage } from './codec.js';
import type { MessageRow } from './message-row.js';
import type { MessageSocket } from './message-socket.js';
import type { Head, MessageName } from './messages.js';

interface ConnectionOptions {
  /** Direction of the messages that are received. */
  readonly receives: MessageRow['direction'];
  readonly clock: Clock;
  readonly pingMs: number;
  /** Time without received data after which the connection counts as dead; Infinity if its peer cannot die alone. */
  readonly timeoutMs: number;
  readonly compressHeads: boolean;
  /** The transport below the connection, for a login that has to identify the peer. */
  readonly channel?: Channel;
  /** Called on a server when the peer has logged in: the limits for unauthenticated peers no longer apply. */
  readonly onAdmitted?: () => void;
  /** Round-trip time measured while connecting; 0 for a unix socket. */
  readonly roundTripMs?: number;
}

/** The transport below a connection. */
export interface Channel {
  /** `unix` also for the pipes of a program: in both cases, the operating system has admitted the peer. */
  readonly kind: 'unix' | 'tcp' | 'tls';
  /** Keying material of the TLS connection: equal on its two ends only (RFC 5705, RFC 8446). Empty without TLS. */
  readonly keyingMaterial: Buffer;
  /** Address of the peer; empty for a unix socket, and for the pipes of a program. */
  readonly peerAddress: string;
}

/** The channel of a link to a peer of this machine, or to one that the user's own program has authenticated. */
export const NO_CHANNEL: Channel = Object.freeze({
  kind: 'unix',
  keyingMaterial: Buffer.alloc(0),
  peerAddress: '',
});

const CLOSE_NORMAL = 1000;
const CLOSE_GRACE_MS = 2000;
/**
 * If the wall clock advances by this much more than the monotonic clock, the machine was asleep or its clock was set.
 */
const SLEPT_MS = 30_000;
/**
 * Time within which a live peer answers a ping after a sleep of the machine. If it does not, the connection is dead.
 */
const WAKE_PATIENCE_MS = 10_000;
const AWAKE: Buffer = Buffer.from('awake');

export class Connection {
  /** Resolves once, when the connection is over: with the error, or with undefined after an orderly end. */
  readonly closed: Promise<TardisError | undefined>;
  private readonly settling = Promise.withResolvers<TardisError | undefined>();
  private failure: TardisError | undefined;
  private isOver = false;
  private isPaused = false;
  private lastHeardMs: number;
  /** Start of the time in which the peer owes an answer and has sent no message; undefined if it owes none. */
  private owesSinceMs: number | undefined;
  private lastBeat: { readonly wallMs: number; readonly monotonicMs: number };
  /** Time at which a sleep of the machine was detected; undefined once the peer has answered since then. */
  private wokeAtMs: number | undefined;
  private readonly pinger: NodeJS.Timeout;
  private listener: ((name: MessageName, bytes: Buffer) => void) | undefined;

  constructor(
    private readonly socket: MessageSocket,
    private readonly options: ConnectionOptions,
  ) {
    this.closed = this.settling.promise;
    this.lastHeardMs = options.clock.monotonicMs();
    this.lastBeat = { wallMs: options.clock.nowMs(), monotonicMs: this.lastHeardMs };
    socket.listen({
      message: (data, isText) => this.receive(data, isText),
      ping: () => this.heard(),
      pong: (data) => this.ponged(data),
      failed: (error) => this.fail(error),
      closed: (code) => this.finish(code),
    });
    this.pinger = setInterval(() => this.beat(), options.pingMs);
    this.pinger.unref();
  }

  get channel(): Channel {
    return this.options.channel ?? NO_CHANNEL;
  }

  /** Records that the peer has logged in. */
  admit(): void {
    this.options.onAdmitted?.();
  }

  /** Round-trip time in milliseconds, measured when the connection was made; 0 on a unix socket. */
  get roundTripMs(): number {
    return this.options.roundTripMs ?? 0;
  }

  /** Bytes accepted for sending that are not yet on their way. */
  get bufferedBytes(): number {
    return this.socket.bufferedBytes;
  }

  /** Milliseconds since anything was received from the peer; 0 while receiving is paused, or if it cannot die alone. */
  get silentMs(): number {
    if (this.isPaused || this.options.timeoutMs === Infinity) return 0;
    return this.options.clock.monotonicMs() - this.lastHeardMs;
  }

  /**
   * Records whether the peer owes an answer. A peer that answers pings but not the request counts as dead after the
   * same time as a silent peer.
   */
  owes(isOwed: boolean): void {
    this.owesSinceMs = isOwed ? (this.owesSinceMs ?? this.options.clock.monotonicMs()) : undefined;
  }

  /**
   * Sets the only listener. An error that the listener throws ends the connection. So does a message with an unknown
   * number, or one that is too long; the listener does not get it.
   */
  onMessage(listener: (name: MessageName, bytes: Buffer) => void): void {
    this.listener = listener;
  }

  /** Encodes and sends a message. Does nothing once the connection is over. */
  send<N extends MessageName>(name: N, head: Head<N>): void {
    this.sendEncoded(encodeMessage(name, head, undefined, this.options.compressHeads));
  }

  /** Sends head and attachment as one message, without copying either. */
  sendEncoded({ head, attachment }: EncodedMessage): void {
    if (this.isOver) return;
    if (attachment === undefined) this.socket.send(head);
    else this.socket.send(head, attachment);
  }

  /** Sends a message that is already encoded. Does nothing once the connection is over. */
  sendBytes(bytes: Uint8Array): void {
    if (!this.isOver) this.socket.send(bytes);
  }

  /** Sends a message as `sendBytes` does, and gives its memory away. Nobody may use it any more. */
  sendLast(bytes: Uint8Array): void {
    if (!this.isOver) this.socket.sendLast(bytes);
  }

  pause(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.heard();
    this.socket.resume();
  }

  /**
   * Ends the connection because of an error; a server sends the error to its peer first. Does nothing if the connection
   * has failed or ended before.
   */
  fail(error: unknown): void {
    if (this.isOver || this.failure !== undefined) return;
    this.failure = asTardisError(error);
    // Only a server sends its error; a client just closes the connection.
    const mayReport = this.options.receives === 'to-server';
    if (mayReport && this.socket.isOpen) {
      const { code, message, context } = toWire(this.failure);
      const isBug = code === 'INTERNAL'; // the stack trace stays in the server's log
      this.send('error', { code, message, context: isBug ? {} : { ...context } });
    }
    this.close();
  }

  /** Closes the connection in order; cuts it if the peer does not answer. */
  close(): void {
    if (this.isOver) return;
    this.socket.close(CLOSE_NORMAL);
    // If this process stood still, the timer is due before the answers that came meanwhile: they have their turns first.
    const cut = (): void => this.socket.terminate();
    setTimeout(() => setImmediate(() => setImmediate(cut)), CLOSE_GRACE_MS).unref();
  }

  /**
   * Closes the connection in order without waiting for the peer's close frame. For a caller that has received
   * everything it needs.
   */
  leave(): void {
    this.close();
    // Our close frame is on its way, even if this process exits.
    if (this.bufferedBytes > 0) return;
    this.finish(CLOSE_NORMAL);
    this.socket.terminate();
  }

  /** Cuts the connection at once. */
  terminate(): void {
    this.socket.terminate();
  }

  /**
   * Handles a pong. After a sleep, only the answer to a ping sent since then counts: older pongs may have been
   * waiting in the socket's buffer.
   */
  private ponged(data: Buffer): void {
    this.heard();
    if (AWAKE.equals(data)) this.wokeAtMs = undefined;
  }

  private heard(): void {
    this.lastHeardMs = this.options.clock.monotonicMs();
  }

  private receive(data: Buffer, isText: boolean): void {
    this.heard();
    if (this.isOver || this.failure !== undefined) return;
    if (this.owesSinceMs !== undefined) this.owesSinceMs = this.lastHeardMs;
    try {
      if (isText) throw protocolViolation('a message is text, not binary');
      const name = peekMessage(data, this.options.receives);
      if (name === 'error') {
        this.failure = this.explained(fromWire(decodeMessage('error', data).head));
        this.close();
        return;
      }
      this.listener?.(name, data);
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Returns an error. If it is a failed login over a network, the possible causes besides a wrong password are added.
   */
  private explained(error: TardisError): TardisError {
    if (error.code !== 'LOGIN_FAILED' || this.channel.kind === 'unix') return error;
    const what = `${error.message}; if both are right, an attacker may be between you and the server, or the store has lost the keys of the client (see the log of the server)`;
    return new TardisError(error.code, what, error.context);
  }

  private beat(): void {
    this.noticeSleep();
    const why = this.whyDead();
    if (why !== undefined) {
      this.failure ??= new TardisError('TIMED_OUT', why);
      this.socket.terminate();
      return;
    }
    if (!this.socket.isOpen) return;
    this.socket.ping(this.wokeAtMs === undefined ? '' : AWAKE);
  }

  private whyDead(): string | undefined {
    const { timeoutMs, clock } = this.options;
    const seconds = Math.round(timeoutMs / 1000);
    if (this.isDeadAfterSleep) return 'nothing was heard since this machine slept';
    if (this.silentMs > timeoutMs) return `nothing was heard for ${seconds} s`;
    if (this.isPaused || this.owesSinceMs === undefined) return undefined;
    if (clock.monotonicMs() - this.owesSinceMs <= timeoutMs) return undefined;
    return `a question was not answered for ${seconds} s`;
  }

  /**
   * Records a sleep of the machine. The monotonic clock stops during a sleep, so a connection that died meanwhile
   * would still count as alive.
   */
  private noticeSleep(): void {
    const { clock } = this.options;
    const [wallMs, monotonicMs] = [clock.nowMs(), clock.monotonicMs()];
    const passedMs = monotonicMs - this.lastBeat.monotonicMs;
    if (wallMs - this.lastBeat.wallMs - passedMs > SLEPT_MS) this.wokeAtMs ??= monotonicMs;
    this.lastBeat = { wallMs, monotonicMs };
  }

  private get isDeadAfterSleep(): boolean {
    const { timeoutMs } = this.options;
    if (this.wokeAtMs === undefined || this.isPaused || timeoutMs === Infinity) return false;
    return this.options.clock.monotonicMs() - this.wokeAtMs > WAKE_PATIENCE_MS;
  }

  private finish(code: number): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.pinger);
    if (this.failure === undefined && code !== CLOSE_NORMAL) {
      this.failure = new TardisError('CONNECTION_LOST', 'the connection was lost', { code });
    }
    this.settling.resolve(this.failure);
  }
}
