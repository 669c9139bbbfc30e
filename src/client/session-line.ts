/**
 * The line between a session and its server. One connection after the other may serve it: each is greeted and
 * logged in, shows the ticket of the session, and tells how much of the server's answers has been handled.
 * What they say beyond that does not know of connections.
 */
import { fromWire, TardisError } from '../errors/index.js';
import type { Login } from '../login/index.js';
import {
  type Connection,
  decodeMessage,
  type Head,
  hungUp,
  type MessageName,
  TICKET_BYTES,
} from '../transport/index.js';
import { requireSpace } from './quota.js';
import type { Sender } from './sender.js';

/** Answers are acknowledged after so many of them, or so many bytes. */
const ACKNOWLEDGE_MESSAGES = 128;
const ACKNOWLEDGE_BYTES = 256 << 10;
const NO_TICKET: Buffer = Buffer.alloc(0);

interface Greeted {
  readonly connection: Connection;
  readonly login: Login;
  readonly resolve: (welcome: Head<'welcome'>) => void;
  readonly reject: (error: Error) => void;
}

export class SessionLine {
  /** The connection was lost after its welcome. */
  onLost: (reason: TardisError) => void = () => undefined;
  private greeted: Greeted | undefined;
  private connection: Connection | undefined;
  /** Of the session; empty before there is one. */
  private ticket = NO_TICKET;
  /** Answers handled so far, and what of them has not been acknowledged. */
  private handled = 0;
  private unacknowledged = 0;
  private unacknowledgedBytes = 0;
  private readonly sender: Sender;
  private readonly hear: (name: MessageName, bytes: Buffer) => void;

  constructor(sender: Sender, hear: (name: MessageName, bytes: Buffer) => void) {
    this.sender = sender;
    this.hear = hear;
  }

  /** How many answers have been heard. */
  get handledCount(): number {
    return this.handled;
  }

  /**
   * Greets over a new connection and logs in: to begin a session or, if there is one, to go on with it. Rejects
   * when the connection ends before its welcome. What was said before goes out, and what the server lacks.
   */
  greet(connection: Connection, login: Login): Promise<Head<'welcome'>> {
    connection.onMessage((name, bytes) => this.receive(connection, name, bytes));
    connection.closed.then(
      (reason) => this.lost(connection, reason),
      (error: unknown) => this.lost(connection, fromWire(error)),
    );
    return new Promise((resolve, reject) => {
      this.greeted = { connection, login, resolve, reject };
      login.greet(connection, { ticket: this.ticket, upTo: this.handled });
    });
  }

  private receive(connection: Connection, name: MessageName, bytes: Buffer): void {
    const { greeted } = this;
    if (greeted === undefined) {
      if (this.connection !== connection) return; // of one that was given up
      this.hear(name, bytes);
      this.count(bytes.length);
    } else if (name === 'loginChallenge') {
      greeted.login.answer(connection, bytes).catch((error: unknown) => connection.fail(error));
    } else if (name === 'welcome') {
      this.takeWelcome(greeted, decodeMessage(name, bytes).head);
    } else {
      throw new TardisError('PROTOCOL_VIOLATION', `the server sent "${name}" before its welcome`);
    }
  }

  private takeWelcome({ connection, login, resolve }: Greeted, head: Head<'welcome'>): void {
    login.confirm(head);
    if (head.ticket.length !== TICKET_BYTES) {
      throw new TardisError('PROTOCOL_VIOLATION', 'the server gives no ticket');
    }
    const isNew = this.ticket.length === 0;
    if (isNew) requireSpace(head); // before anything is sent
    this.greeted = undefined;
    this.connection = connection;
    this.ticket = head.ticket;
    this.acknowledge(connection);
    this.sender.welcome(head.creditBytes);
    this.sender.resume(connection, head.upTo);
    resolve(head);
  }

  private count(bytes: number): void {
    this.handled += 1;
    this.unacknowledged += 1;
    this.unacknowledgedBytes += bytes;
    const isMuch =
      this.unacknowledged >= ACKNOWLEDGE_MESSAGES || this.unacknowledgedBytes >= ACKNOWLEDGE_BYTES;
    if (isMuch && this.connection !== undefined) this.acknowledge(this.connection);
  }

  private acknowledge(connection: Connection): void {
    this.unacknowledged = 0;
    this.unacknowledgedBytes = 0;
    connection.send('acknowledge', { ticket: this.ticket, upTo: this.handled });
  }

  private lost(connection: Connection, reason: TardisError | undefined): void {
    const why = reason ?? hungUp();
    const { greeted } = this;
    if (greeted?.connection === connection) {
      this.greeted = undefined;
      greeted.reject(why);
    } else if (this.connection === connection) {
      this.connection = undefined;
      this.sender.detach();
      this.onLost(why);
    }
  }
}
