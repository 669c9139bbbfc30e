/**
 * Connects one session to its server, over one connection after the other. Each connection is greeted and
 * logged in, presents the ticket of the session, and reports how many of the server's answers have been
 * handled. All other messages are independent of connections.
 */
import { fromWire, TardisError } from '../errors/index.js';
import type { Login } from '../transport/login/index.js';
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

/** Answers are acknowledged after this many of them, or this many bytes. */
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
  /** Called when the connection is lost after its welcome. */
  onLost: (reason: TardisError) => void = () => undefined;
  private greeted: Greeted | undefined;
  private connection: Connection | undefined;
  /** Ticket of the session; empty until the first welcome. */
  private ticket = NO_TICKET;
  /** Number of answers handled so far, and the part of them that is not acknowledged yet. */
  private handled = 0;
  private unacknowledged = 0;
  private unacknowledgedBytes = 0;
  private readonly sender: Sender;
  private readonly hear: (name: MessageName, bytes: Buffer) => void;

  constructor(sender: Sender, hear: (name: MessageName, bytes: Buffer) => void) {
    this.sender = sender;
    this.hear = hear;
  }

  /** Number of answers handled so far. */
  get handledCount(): number {
    return this.handled;
  }

  /**
   * Greets and logs in over a new connection, to begin the session or to resume it. Rejects if the connection
   * ends before its welcome. After the welcome, queued messages and those that the server has not received
   * are sent.
   */
  greet(connection: Connection, login: Login): Promise<Head<'welcome'>> {
    connection.onMessage((name, bytes) => this.receive(connection, name, bytes));
    connection.closed.then(
      (reason) => this.lost(connection, reason),
      (error: unknown) => this.lost(connection, fromWire(error)),
    );
    return new Promise((resolve, reject) => {
      this.greeted = { connection, login, resolve, reject };
      connection.owes(true);
      login.greet(connection, { ticket: this.ticket, upTo: this.handled });
    });
  }

  private receive(connection: Connection, name: MessageName, bytes: Buffer): void {
    const { greeted } = this;
    if (greeted === undefined) {
      if (this.connection !== connection) return; // from an abandoned connection
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
      throw new TardisError('PROTOCOL_VIOLATION', 'the server sent no valid ticket');
    }
    const isNew = this.ticket.length === 0;
    if (isNew) requireSpace(head); // before anything is sent
    this.greeted = undefined;
    connection.owes(false);
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
