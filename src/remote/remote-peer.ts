/** A server that answers a reader's questions: each becomes a promise; answers come in their order. */
import type { Keyring } from '../crypto/index.js';
import { fromWire, TardisError } from '../errors/index.js';
import { type Credentials, Login, NO_CREDENTIALS } from '../login/index.js';
import type { Address, System } from '../system/index.js';
import {
  connect,
  type Connection,
  decodeMessage,
  type DecodedMessage,
  DEFAULT_LINK,
  encodeMessage,
  type Head,
  type LinkOptions,
  MAX_QUESTIONS,
  type MessageName,
  PROTOCOL_VERSION,
  Purpose,
  type TlsWish,
} from '../transport/index.js';

/** Answers the server is told of at once: a share of what it may send ahead. */
const TELL_TAKEN_BYTES = 1 << 20;

/** Which client of which server, and how it is reached. */
export interface RemotePlace {
  readonly address: Address;
  readonly client: string;
  /** Undefined: no TLS. */
  readonly tls?: TlsWish | undefined;
  readonly credentials?: Credentials;
  readonly link?: LinkOptions;
}

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
  private welcomed:
    | { resolve: (welcome: Head<'welcome'>) => void; reject: (error: Error) => void }
    | undefined;
  private readonly connection: Connection;
  private readonly login: Login;

  private constructor(connection: Connection, login: Login) {
    this.connection = connection;
    this.login = login;
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

  /** Connects and logs in. Throws SERVER_UNREACHABLE, NO_SUCH_CLIENT, LOGIN_FAILED, … */
  static async open(
    system: System,
    place: RemotePlace,
  ): Promise<{ peer: RemotePeer; keyring: Keyring | undefined }> {
    const { address, client, tls, link = DEFAULT_LINK, credentials = NO_CREDENTIALS } = place;
    const target = { client, create: false, purpose: Purpose.read };
    const login = await Login.prepare(system, target, credentials);
    const connection = await connect(system, address, link, tls);
    const peer = new RemotePeer(connection, login);
    try {
      const welcome = await new Promise<Head<'welcome'>>((resolve, reject) => {
        peer.welcomed = { resolve, reject };
        login.greet(connection);
      });
      return { peer, keyring: login.keyring(welcome) };
    } catch (error) {
      connection.fail(error);
      throw error;
    }
  }

  /** Asks; `answer` is the one message that answers it. Rejects with what the server says. */
  async ask<N extends MessageName, A extends MessageName>(
    name: N,
    answer: A,
    question: Question<N>,
    attachment?: Uint8Array,
  ): Promise<DecodedMessage<A>> {
    if (this.failure !== undefined) throw this.failure;
    if (this.waiting.length >= MAX_QUESTIONS) {
      throw new TardisError('INTERNAL', 'more questions are open than a server takes');
    }
    this.lastQuestion += 1;
    const number = this.lastQuestion;
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      this.waiting.push({ question: number, answer, resolve, reject });
      const head = { ...question, question: number } as unknown as Head<N>;
      this.connection.sendEncoded(encodeMessage(name, head, attachment));
    });
    return decodeMessage(answer, bytes);
  }

  close(): void {
    this.failure ??= new TardisError('CONNECTION_LOST', 'it was closed');
    this.connection.leave();
  }

  private receive(name: MessageName, bytes: Buffer): void {
    if (this.welcomed !== undefined) {
      this.receiveGreeting(name, bytes);
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

  private receiveGreeting(name: MessageName, bytes: Buffer): void {
    if (name === 'loginChallenge') {
      const { connection, login } = this;
      login.answer(connection, bytes).catch((error: unknown) => connection.fail(error));
      return;
    }
    if (name !== 'welcome') {
      throw new TardisError('PROTOCOL_VIOLATION', `the server sent "${name}" before its welcome`);
    }
    const { head } = decodeMessage(name, bytes);
    if (head.protocol !== PROTOCOL_VERSION) {
      throw new TardisError(
        'PROTOCOL_VERSION',
        `the server speaks protocol ${head.protocol}, this client ${PROTOCOL_VERSION}`,
      );
    }
    this.login.confirm(head);
    this.welcomed?.resolve(head);
    this.welcomed = undefined;
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
