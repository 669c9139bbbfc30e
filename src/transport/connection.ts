/**
 * One WebSocket with our messages on it, the same on both ends. It sends encoded messages, hands
 * received bytes to one listener, keeps the link alive with pings, and ends in exactly one way: the
 * `closed` promise resolves with the reason (undefined for a normal end).
 *
 * Backpressure: a receiver that cannot keep up calls `pause`; a sender sees `bufferedBytes`.
 */
import type { WebSocket } from 'ws';
import { asTardisError, fromWire, TardisError, toWire } from '../errors/index.js';
import type { Clock } from '../system/index.js';
import { decodeMessage, type EncodedMessage, encodeMessage, peekMessage } from './codec.js';
import type { MessageRow } from './message-row.js';
import type { Head, MessageName } from './messages.js';

export interface ConnectionOptions {
  /** The direction of what is received. */
  readonly receives: MessageRow['direction'];
  readonly clock: Clock;
  readonly pingMs: number;
  /** Nothing heard for this long: the connection is dead. */
  readonly timeoutMs: number;
  readonly compressHeads: boolean;
  /** What it runs over, for who must know whom he talks to. */
  readonly channel?: Channel;
  /** Called when a server's peer has logged in: the limits of strangers no longer hold for it. */
  readonly onAdmitted?: () => void;
  /** How long a question and its answer took when the connection was made; 0 where that is no link. */
  readonly roundTripMs?: number;
}

/** What a connection runs over. */
export interface Channel {
  readonly kind: 'unix' | 'tcp' | 'tls';
  /** The same on both ends of one TLS connection, and nowhere else (RFC 5705, RFC 8446); else empty. */
  readonly keyingMaterial: Buffer;
  /** Of the other end; empty for a unix socket. */
  readonly peerAddress: string;
}

const NO_CHANNEL: Channel = Object.freeze({
  kind: 'unix',
  keyingMaterial: Buffer.alloc(0),
  peerAddress: '',
});

const CLOSE_NORMAL = 1000;
const CLOSE_GRACE_MS = 2000;
/** The wall clock went on so much further than the other one: the machine slept, or its clock was set. */
const SLEPT_MS = 30_000;
/** A peer that is still there answers a ping within this. */
const WAKE_PATIENCE_MS = 10_000;
const AWAKE: Buffer = Buffer.from('awake');

export class Connection {
  /** Resolves once, when the connection is over; with the error unless the end was orderly. */
  readonly closed: Promise<TardisError | undefined>;
  private settleClosed!: (reason: TardisError | undefined) => void;
  private failure: TardisError | undefined;
  private isOver = false;
  private isPaused = false;
  private lastHeardMs: number;
  private lastBeat: { readonly wallMs: number; readonly monotonicMs: number };
  /** When the machine seems to have slept, until the peer has answered since then. */
  private wokeAtMs: number | undefined;
  private readonly pinger: NodeJS.Timeout;
  private listener: ((name: MessageName, bytes: Buffer) => void) | undefined;
  private readonly socket: WebSocket;
  private readonly options: ConnectionOptions;

  constructor(socket: WebSocket, options: ConnectionOptions) {
    this.socket = socket;
    this.options = options;
    this.closed = new Promise((resolve) => {
      this.settleClosed = resolve;
    });
    this.lastHeardMs = options.clock.monotonicMs();
    this.lastBeat = { wallMs: options.clock.nowMs(), monotonicMs: this.lastHeardMs };
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data, isBinary) => this.receive(data as Buffer, isBinary));
    socket.on('pong', (data) => this.ponged(data));
    socket.on('ping', () => this.heard());
    socket.on('error', (error: Error) => this.fail(wrapSocketError(error)));
    socket.on('close', (code) => this.finish(code));
    this.pinger = setInterval(() => this.beat(), options.pingMs);
    this.pinger.unref();
  }

  get channel(): Channel {
    return this.options.channel ?? NO_CHANNEL;
  }

  /** The peer has logged in. */
  admit(): void {
    this.options.onAdmitted?.();
  }

  /** A round trip, measured when the connection was made; 0 on a unix socket. */
  get roundTripMs(): number {
    return this.options.roundTripMs ?? 0;
  }

  /** Bytes accepted for sending that the kernel has not taken yet. */
  get bufferedBytes(): number {
    return this.socket.bufferedAmount;
  }

  /** Milliseconds since the peer was last heard of; 0 while we do not listen. */
  get silentMs(): number {
    if (this.isPaused) return 0;
    return this.options.clock.monotonicMs() - this.lastHeardMs;
  }

  /** Sets the one listener. Messages that break the table's rules never reach it; what it throws ends the connection. */
  onMessage(listener: (name: MessageName, bytes: Buffer) => void): void {
    this.listener = listener;
  }

  /** Encodes and sends. Silently does nothing once the connection is over. */
  send<N extends MessageName>(name: N, head: Head<N>): void {
    this.sendEncoded(encodeMessage(name, head, undefined, this.options.compressHeads));
  }

  /** Sends head and attachment as two fragments of one message, copying neither. */
  sendEncoded(message: EncodedMessage): void {
    if (this.isOver) return;
    if (message.attachment === undefined) {
      this.socket.send(message.head);
      return;
    }
    this.socket.send(message.head, { fin: false, binary: true });
    this.socket.send(message.attachment, { fin: true, binary: true });
  }

  /** Sends bytes that were encoded elsewhere. */
  sendBytes(bytes: Uint8Array): void {
    if (!this.isOver) this.socket.send(bytes);
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

  /** Tells the peer why, then ends the connection. */
  fail(error: unknown): void {
    if (this.isOver || this.failure !== undefined) return;
    this.failure = asTardisError(error);
    // Only a server says why; a client just goes.
    const mayTell = this.options.receives === 'to-server';
    if (mayTell && this.socket.readyState === this.socket.OPEN) {
      const { code, message, context } = toWire(this.failure);
      const isBug = code === 'INTERNAL'; // its stack stays here, in the log
      this.send('error', { code, message, context: isBug ? {} : { ...context } });
    }
    this.close();
  }

  /** Ends the connection in order; cuts it when the peer does not answer. */
  close(): void {
    if (this.isOver) return;
    this.socket.close(CLOSE_NORMAL);
    setTimeout(() => this.socket.terminate(), CLOSE_GRACE_MS).unref();
  }

  /**
   * Ends the connection in order without waiting for the peer's farewell, which nobody needs: for who
   * has heard all there is to hear.
   */
  leave(): void {
    this.close();
    // The farewell is with the kernel, which sends it whatever becomes of us.
    if (this.bufferedBytes > 0) return;
    this.finish(CLOSE_NORMAL);
    this.socket.terminate();
  }

  /** Cuts the connection at once. */
  terminate(): void {
    this.socket.terminate();
  }

  /** After a sleep only the answer to what was asked since then counts: older ones may have waited here. */
  private ponged(data: Buffer): void {
    this.heard();
    if (AWAKE.equals(data)) this.wokeAtMs = undefined;
  }

  private heard(): void {
    this.lastHeardMs = this.options.clock.monotonicMs();
  }

  private receive(data: Buffer, isBinary: boolean): void {
    this.heard();
    if (this.isOver || this.failure !== undefined) return;
    try {
      if (!isBinary) throw new TardisError('PROTOCOL_VIOLATION', 'a message is text');
      const name = peekMessage(data, this.options.receives);
      if (name === 'error') {
        this.failure = fromWire(decodeMessage('error', data).head);
        this.close();
        return;
      }
      this.listener?.(name, data);
    } catch (error) {
      this.fail(error);
    }
  }

  private beat(): void {
    this.noticeSleep();
    const { timeoutMs } = this.options;
    if (this.silentMs > timeoutMs || this.isDeadAfterSleep) {
      this.failure ??= new TardisError(
        'TIMED_OUT',
        this.isDeadAfterSleep
          ? 'nothing was heard since this machine slept'
          : `nothing was heard for ${Math.round(timeoutMs / 1000)} s`,
      );
      this.socket.terminate();
      return;
    }
    if (this.socket.readyState !== this.socket.OPEN) return;
    this.socket.ping(this.wokeAtMs === undefined ? '' : AWAKE);
  }

  /** While a machine sleeps its monotonic clock stands still: a link that died meanwhile would be trusted on. */
  private noticeSleep(): void {
    const { clock } = this.options;
    const [wallMs, monotonicMs] = [clock.nowMs(), clock.monotonicMs()];
    const passedMs = monotonicMs - this.lastBeat.monotonicMs;
    if (wallMs - this.lastBeat.wallMs - passedMs > SLEPT_MS) this.wokeAtMs ??= monotonicMs;
    this.lastBeat = { wallMs, monotonicMs };
  }

  private get isDeadAfterSleep(): boolean {
    if (this.wokeAtMs === undefined || this.isPaused) return false;
    return this.options.clock.monotonicMs() - this.wokeAtMs > WAKE_PATIENCE_MS;
  }

  private finish(code: number): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.pinger);
    if (this.failure === undefined && code !== CLOSE_NORMAL) {
      this.failure = new TardisError('CONNECTION_LOST', 'the connection was lost', { code });
    }
    this.settleClosed(this.failure);
  }
}

/** ws's own protocol errors (bad frames, too large payloads) are the peer's doing. */
function wrapSocketError(error: Error): TardisError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
    return new TardisError('MESSAGE_TOO_LARGE', error.message, {}, error);
  }
  if (code.startsWith('WS_ERR')) {
    return new TardisError('PROTOCOL_VIOLATION', error.message, {}, error);
  }
  return new TardisError('CONNECTION_LOST', error.message, { cause: code }, error);
}
