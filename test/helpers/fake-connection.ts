/** A connection to a server whose messages a test sends; an error of the listener ends it, as in a real one. */
import type { SessionLine } from '../../src/client/index.js';
import { TardisError } from '../../src/errors/index.js';
import {
  type Connection,
  decodeMessage,
  type EncodedMessage,
  encodeMessage,
  type Head,
  type MessageName,
  MESSAGES,
  TICKET_BYTES,
} from '../../src/transport/index.js';
import type { Login } from '../../src/transport/login/index.js';

type Listener = (name: string, bytes: Buffer) => void;

export const WELCOME: Head<'welcome'> = {
  protocol: 1,
  software: 'a server',
  incarnation: Buffer.alloc(0),
  creditBytes: 1000,
  proof: Buffer.alloc(0),
  keys: Buffer.alloc(0),
  quotaBytes: 0,
  usedBytes: 0,
  ticket: Buffer.alloc(TICKET_BYTES, 1),
  upTo: 0,
};

export class FakeConnection {
  readonly acknowledged: number[] = [];
  readonly closed: Promise<TardisError | undefined>;
  private readonly sent: Buffer[] = [];
  private end!: (reason: TardisError | undefined) => void;
  private listener: Listener = () => undefined;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  onMessage(listener: Listener): void {
    this.listener = listener;
  }

  owes(): void {
    // no clock runs here
  }

  send(name: string, head: Head<'acknowledge'>): void {
    if (name === 'acknowledge') this.acknowledged.push(head.upTo);
  }

  sendEncoded({ head, attachment }: EncodedMessage): void {
    this.sent.push(attachment === undefined ? head : Buffer.concat([head, attachment]));
  }

  /** Returns the messages of a name that the client has sent. */
  heads<N extends MessageName>(name: N): Head<N>[] {
    return this.sent
      .filter((bytes) => bytes[0] === MESSAGES[name].number)
      .map((bytes) => decodeMessage(name, bytes).head);
  }

  /** Delivers a message of the server. */
  deliver(name: string, bytes: Buffer): void {
    try {
      this.listener(name, bytes);
    } catch (error) {
      this.end(error as TardisError);
    }
  }

  welcome(changes: Partial<Head<'welcome'>> = {}): void {
    this.deliver('welcome', encodeMessage('welcome', { ...WELCOME, ...changes }).head);
  }

  async lose(): Promise<void> {
    this.end(new TardisError('CONNECTION_LOST', 'lost'));
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets a session greet the server over this connection; `place` gets the session's place in each greeting. */
  greetedBy(
    line: SessionLine,
    place: (place: unknown) => void = () => undefined,
  ): Promise<unknown> {
    const login = {
      greet: (_line: unknown, where: unknown) => place(where),
      confirm: () => undefined,
    };
    return line.greet(this as unknown as Connection, login as unknown as Login);
  }
}
