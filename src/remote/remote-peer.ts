/** A server that answers a reader's questions: each becomes a promise; answers come in their order. */
import { fromWire, TardisError } from '../errors/index.js';
import type { Address, System } from '../system/index.js';
import {
  connect,
  type Connection,
  decodeMessage,
  type DecodedMessage,
  type Head,
  type LinkOptions,
  MAX_QUESTIONS,
  type MessageName,
  PROTOCOL_VERSION,
  Purpose,
} from '../transport/index.js';

/** Answers the server is told of at once: a share of what it may send ahead. */
const TELL_TAKEN_BYTES = 1 << 20;
const SOFTWARE = 'tardis-pipeline 0.1.0';

interface Waiting {
  readonly question: number;
  readonly answer: MessageName;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/** A question without its number, which the peer gives. */
export type Question<N extends MessageName> = {
  [F in keyof Head<N> as string extends F ? never : F extends 'question' ? never : F]: Head<N>[F];
};

export class RemotePeer {
  private readonly waiting: Waiting[] = [];
  private lastQuestion = 0;
  private untoldBytes = 0;
  private failure: TardisError | undefined;
  private welcomed: { resolve: () => void; reject: (error: Error) => void } | undefined;
  private readonly connection: Connection;

  private constructor(connection: Connection) {
    this.connection = connection;
    connection.onMessage((name, bytes) => {
      try {
        this.receive(name, bytes);
      } catch (error) {
        connection.fail(error);
      }
    });
    connection.closed.then(
      (reason) => this.fail(reason ?? new TardisError('CONNECTION_LOST', 'the server hung up')),
      (error: unknown) => this.fail(fromWire(error)),
    );
  }

  /** Connects and greets. Throws SERVER_UNREACHABLE, NO_SUCH_CLIENT, … */
  static async open(
    system: System,
    address: Address,
    link: LinkOptions,
    client: string,
  ): Promise<RemotePeer> {
    const connection = await connect(system, address, link);
    const peer = new RemotePeer(connection);
    try {
      await new Promise<void>((resolve, reject) => {
        peer.welcomed = { resolve, reject };
        const purpose = Purpose.read;
        const versions = { protocol: PROTOCOL_VERSION, software: SOFTWARE };
        connection.send('hello', { ...versions, client, create: false, purpose });
      });
    } catch (error) {
      connection.fail(error);
      throw error;
    }
    return peer;
  }

  /** Asks; `answer` is the one message that answers it. Rejects with what the server says. */
  async ask<N extends MessageName, A extends MessageName>(
    name: N,
    answer: A,
    question: Question<N>,
  ): Promise<DecodedMessage<A>> {
    if (this.failure !== undefined) throw this.failure;
    if (this.waiting.length >= MAX_QUESTIONS) {
      throw new TardisError('INTERNAL', 'more questions are open than a server takes');
    }
    this.lastQuestion += 1;
    const number = this.lastQuestion;
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      this.waiting.push({ question: number, answer, resolve, reject });
      this.connection.send(name, { ...question, question: number } as unknown as Head<N>);
    });
    return decodeMessage(answer, bytes);
  }

  close(): void {
    this.failure ??= new TardisError('CONNECTION_LOST', 'it was closed');
    this.connection.leave();
  }

  private receive(name: MessageName, bytes: Buffer): void {
    if (name === 'welcome' && this.welcomed !== undefined) {
      const { protocol } = decodeMessage(name, bytes).head;
      if (protocol !== PROTOCOL_VERSION) {
        throw new TardisError(
          'PROTOCOL_VERSION',
          `the server speaks protocol ${protocol}, this client ${PROTOCOL_VERSION}`,
        );
      }
      this.welcomed.resolve();
      this.welcomed = undefined;
      return;
    }
    const next = this.waiting.shift();
    if (next === undefined || (name !== next.answer && name !== 'questionFailed')) {
      throw new TardisError(
        'PROTOCOL_VIOLATION',
        `the server sent "${name}" where it has no place`,
      );
    }
    this.take(bytes.length);
    if (name === next.answer) {
      next.resolve(bytes);
      return;
    }
    const { code, message, context } = decodeMessage('questionFailed', bytes).head;
    next.reject(fromWire({ code, message, context }));
  }

  private take(bytes: number): void {
    this.untoldBytes += bytes;
    if (this.untoldBytes < TELL_TAKEN_BYTES) return;
    this.connection.send('taken', { bytes: this.untoldBytes });
    this.untoldBytes = 0;
  }

  private fail(error: TardisError): void {
    this.failure ??= error;
    this.welcomed?.reject(error);
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }
}
