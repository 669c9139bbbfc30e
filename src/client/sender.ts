/**
 * Sends messages in the order of the calls, within the server's credit. The credit limits the bytes that are sent but
 * not yet received. Both ends count messages, so "received up to n" needs no ids.
 */
import { protocolViolation, type TardisError } from '../errors/index.js';
import {
  type Connection,
  type EncodedMessage,
  encodeMessage,
  type Head,
  type MessageName,
  type RateLimit,
} from '../transport/index.js';

const MAX_MARKS = 1024;

/** A message that is kept until the server has received it, because it may have to be sent again. */
interface Outgoing {
  readonly message: EncodedMessage;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface SenderOptions {
  readonly compressHeads: boolean;
  /** Undefined for no limit. */
  readonly rateLimit?: RateLimit | undefined;
  /** Called with the number of bytes of all messages that are durable. */
  readonly onDurable?: (bytes: number) => void;
}

export class Sender {
  /** Number of messages sent so far. */
  sentCount = 0;
  sentBytes = 0;
  /** The part of `sentBytes` that was sent again over another connection. */
  resentBytes = 0;
  /** Credit in bytes; zero until `welcome`. Until then the peer is not authenticated, and nothing is sent. */
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
  private isHeldBack = false;

  constructor(private readonly options: SenderOptions) {}

  /** Sends queued messages over this connection from now on. */
  attach(connection: Connection): void {
    this.connection = connection;
    this.pump();
  }

  /** Stops sending because the connection is lost; messages wait for the next one. */
  detach(): void {
    this.connection = undefined;
  }

  /**
   * Continues over another connection. The server has received the first `cameUpTo` messages; later ones, at most the
   * credit, are sent again. Throws PROTOCOL_VIOLATION.
   */
  resume(connection: Connection, cameUpTo: number): void {
    if (cameUpTo < this.receivedUpTo || cameUpTo > this.sentCount) {
      throw protocolViolation('the server acknowledged messages that were never sent');
    }
    for (const { message } of this.unreceived.slice(cameUpTo - this.receivedUpTo)) {
      this.options.rateLimit?.spend(message.bytes);
      this.sentBytes += message.bytes;
      this.resentBytes += message.bytes;
      connection.sendEncoded(message);
    }
    this.attach(connection);
  }

  /** Sets the credit, the maximum number of bytes that are sent but not yet received, and sends queued messages. */
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

  /** Queues a message without waiting for it. A failure is reported to the callers of other operations. */
  post<N extends MessageName>(name: N, head: Head<N>): void {
    this.send(name, head).catch(() => undefined); // `fail` reports the error to every waiting caller
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

  /** Records that the first `upTo` messages are durable. Throws PROTOCOL_VIOLATION. */
  durable(upTo: number): void {
    if (upTo < this.durableUpTo || upTo > this.sentCount) {
      throw protocolViolation('the server reported messages as durable that were never sent');
    }
    this.durableUpTo = upTo;
    this.options.onDurable?.(this.marks.upTo(upTo));
  }

  /** Fails all waiting messages, since the server will receive no more. */
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

  /** Returns true if the rate limit is used up, and then starts a timer that resumes sending. */
  private mustWait(): boolean {
    if (this.isHeldBack) return true;
    const waitMs = this.options.rateLimit?.waitMs() ?? 0;
    if (waitMs === 0) return false;
    this.isHeldBack = true;
    setTimeout(() => {
      this.isHeldBack = false;
      this.pump();
    }, waitMs).unref(); // the connection keeps the process alive
    return true;
  }
}

interface Mark {
  readonly messages: number;
  readonly bytes: number;
}

/**
 * Maps a number of messages to their total bytes. Only totals at intervals are kept, because a server may report
 * "durable" late or never.
 */
export class MessageMarks {
  private marks: Mark[] = [];
  private last: Mark = { messages: 0, bytes: 0 };
  private bytes = 0;
  /** Number of messages between two marks; doubled when there are too many marks. */
  private step = 1;

  /** Records that `messages` messages with `bytes` bytes in total have been sent by now. */
  note(messages: number, bytes: number): void {
    this.last = { messages, bytes };
    if (messages - (this.marks.at(-1)?.messages ?? 0) < this.step) return;
    this.marks.push(this.last);
    if (this.marks.length <= MAX_MARKS) return;
    this.marks = this.marks.filter((_mark, at) => at % 2 === 1);
    this.step *= 2;
  }

  /** Returns the bytes of the first `messages` messages, or slightly fewer. Removes the marks of these messages. */
  upTo(messages: number): number {
    const count = this.marks.findLastIndex((mark) => mark.messages <= messages) + 1;
    const reached = this.marks.splice(0, count).at(-1);
    this.bytes = messages >= this.last.messages ? this.last.bytes : (reached?.bytes ?? this.bytes);
    if (this.marks.length === 0) this.step = 1;
    return this.bytes;
  }
}
