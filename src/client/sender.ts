/**
 * Sends messages in the order of the calls, within the credit the server gives: what has not been
 * received yet may not pass it. Both ends count messages, so "received up to n" needs no ids.
 */
import { TardisError } from '../errors/index.js';
import {
  type Connection,
  type EncodedMessage,
  encodeMessage,
  type Head,
  type MessageName,
  type RateLimit,
} from '../transport/index.js';
import { MessageMarks } from './message-marks.js';

/** Kept until it is received: it may have to be sent again. */
interface Outgoing {
  readonly message: EncodedMessage;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface SenderOptions {
  readonly compressHeads: boolean;
  /** Undefined: as fast as it goes. */
  readonly rateLimit?: RateLimit | undefined;
  /** Hears how many bytes of messages are durable by now. */
  readonly onDurable?: (bytes: number) => void;
  /** For tests that have no real time. */
  readonly after?: (ms: number, call: () => void) => void;
}

function afterTime(ms: number, call: () => void): void {
  setTimeout(call, ms).unref(); // the connection keeps the process
}

export class Sender {
  /** Messages sent so far. */
  sentCount = 0;
  sentBytes = 0;
  /** Of them, what was sent again over another connection. */
  resentBytes = 0;
  /** Nothing is sent before the welcome: who will hear it is not known until then. */
  private creditBytes = 0;
  private isWelcome = false;
  private unreceivedBytes = 0;
  private readonly waiting: Outgoing[] = [];
  private readonly unreceived: Outgoing[] = [];
  private receivedUpTo = 0;
  private durableUpTo = 0;
  private readonly marks = new MessageMarks();
  private failure: TardisError | undefined;
  private connection: Connection | undefined;
  private readonly options: SenderOptions;
  private isHeldBack = false;

  constructor(options: SenderOptions) {
    this.options = options;
  }

  /** From here on what was queued is sent. */
  attach(connection: Connection): void {
    this.connection = connection;
    this.pump();
  }

  /** The connection is lost: what is to be sent waits for another one. */
  detach(): void {
    this.connection = undefined;
  }

  /**
   * Goes on over another connection. The first `cameUpTo` messages have come: what followed them is sent
   * again, at most the credit. Throws PROTOCOL_VIOLATION.
   */
  resume(connection: Connection, cameUpTo: number): void {
    if (cameUpTo < this.receivedUpTo || cameUpTo > this.sentCount) {
      throw new TardisError('PROTOCOL_VIOLATION', 'the server has got what was never sent');
    }
    for (const { message } of this.unreceived.slice(cameUpTo - this.receivedUpTo)) {
      this.options.rateLimit?.spend(message.bytes);
      this.sentBytes += message.bytes;
      this.resentBytes += message.bytes;
      connection.sendEncoded(message);
    }
    this.attach(connection);
  }

  /** The server has told how much may be unreceived. */
  welcome(creditBytes: number): void {
    this.creditBytes = creditBytes;
    this.isWelcome = true;
    this.pump();
  }

  /** Queues a message; resolves when the server has received it. */
  send<N extends MessageName>(name: N, head: Head<N>, attachment?: Uint8Array): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const message = encodeMessage(name, head, attachment, this.options.compressHeads);
    return new Promise((resolve, reject) => {
      this.waiting.push({ message, resolve, reject });
      this.pump();
    });
  }

  /** Queues a message nobody waits for; a failure shows at whoever waits for anything. */
  post<N extends MessageName>(name: N, head: Head<N>): void {
    this.send(name, head).catch(() => undefined); // told to every waiter by `fail`
  }

  received(upTo: number): void {
    while (this.receivedUpTo < upTo) {
      const first = this.unreceived.shift();
      if (first === undefined) return;
      this.receivedUpTo += 1;
      this.unreceivedBytes -= first.message.bytes;
      first.resolve();
    }
    this.pump();
  }

  /** What is durable need not be sent again after a break; nobody waits for it. */
  durable(upTo: number): void {
    if (upTo < this.durableUpTo || upTo > this.sentCount) {
      throw new TardisError('PROTOCOL_VIOLATION', 'the server calls durable what was never sent');
    }
    this.durableUpTo = upTo;
    this.options.onDurable?.(this.marks.upTo(upTo));
  }

  /** Nothing more will be received. */
  fail(error: TardisError): void {
    this.failure ??= error;
    for (const waiter of this.waiting.splice(0)) waiter.reject(error);
    for (const waiter of this.unreceived.splice(0)) waiter.reject(error);
  }

  private pump(): void {
    for (;;) {
      const next = this.waiting[0];
      const { connection } = this;
      if (next === undefined || connection === undefined) return;
      const { bytes } = next.message;
      const fits = this.unreceivedBytes + bytes <= this.creditBytes;
      const mayExceed = this.isWelcome && this.unreceivedBytes === 0;
      if ((!fits && !mayExceed) || this.mustWait()) return;
      this.waiting.shift();
      this.options.rateLimit?.spend(bytes);
      this.unreceivedBytes += bytes;
      this.sentCount += 1;
      this.sentBytes += bytes;
      this.marks.note(this.sentCount, this.sentBytes - this.resentBytes);
      this.unreceived.push(next);
      connection.sendEncoded(next.message);
    }
  }

  /** Whether the rate is spent; then the pump goes on by itself when there is some again. */
  private mustWait(): boolean {
    if (this.isHeldBack) return true;
    const waitMs = this.options.rateLimit?.waitMs() ?? 0;
    if (waitMs === 0) return false;
    this.isHeldBack = true;
    const { after = afterTime } = this.options;
    after(waitMs, () => {
      this.isHeldBack = false;
      this.pump();
    });
    return true;
  }
}
