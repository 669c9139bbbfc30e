/**
 * Connects one session to its server, over one connection after the other. Each connection is greeted and
 * logged in, presents the ticket of the session, and reports how many of the server's answers have been
 * handled. All other messages are independent of connections.
 */
import { protocolViolation, TardisError } from '../errors/index.js';
import { type Connection, type Head, type MessageName, TICKET_BYTES } from '../transport/index.js';
import { greet, type Login } from '../transport/login/index.js';
import type { Sender } from './sender.js';

/** Percentage of the quota from which a backup prints a warning. */
const WARN_FROM_PERCENT = 90;

/** Number of answers, and number of their bytes, after which they are acknowledged. */
const ACKNOWLEDGE_MESSAGES = 128;
const ACKNOWLEDGE_BYTES = 256 << 10;
const NO_TICKET: Buffer = Buffer.alloc(0);

export class SessionLine {
  /** Called when the connection is lost after its welcome. */
  onLost: (reason: TardisError) => void = () => undefined;
  private connection: Connection | undefined;
  /** Ticket of the session; empty until the first welcome. */
  private ticket = NO_TICKET;
  /** Number of answers handled so far. */
  private handled = 0;
  /** Number of handled answers that are not acknowledged yet. */
  private unacknowledged = 0;
  private unacknowledgedBytes = 0;

  constructor(
    private readonly sender: Sender,
    private readonly hear: (name: MessageName, bytes: Buffer) => void,
  ) {}

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
    const greeted = {
      welcome: (head: Head<'welcome'>) => this.takeWelcome(connection, head),
      hear: (name: MessageName, bytes: Buffer) => this.receive(connection, name, bytes),
      lost: (reason: TardisError) => this.lost(connection, reason),
    };
    return greet(connection, login, greeted, { ticket: this.ticket, upTo: this.handled });
  }

  private receive(connection: Connection, name: MessageName, bytes: Buffer): void {
    if (this.connection !== connection) return; // from an abandoned connection
    this.hear(name, bytes);
    this.count(bytes.length);
  }

  private takeWelcome(connection: Connection, head: Head<'welcome'>): void {
    if (head.ticket.length !== TICKET_BYTES) {
      throw protocolViolation('the server sent no valid ticket');
    }
    const isNew = this.ticket.length === 0;
    if (isNew) requireSpace(head); // before anything is sent
    this.connection = connection;
    this.ticket = head.ticket;
    this.acknowledge(connection);
    this.sender.welcome(head.creditBytes);
    this.sender.resume(connection, head.upTo);
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

  private lost(connection: Connection, reason: TardisError): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    this.sender.detach();
    this.onLost(reason);
  }
}

/** Quota and usage of an account; `quotaBytes` is 0 without a quota. */
interface AccountSpace {
  readonly quotaBytes: number;
  readonly usedBytes: number;
}

/** Throws QUOTA_EXCEEDED if the account has no space left. */
export function requireSpace({ quotaBytes, usedBytes }: AccountSpace): void {
  if (quotaBytes === 0 || usedBytes < quotaBytes) return;
  throw new TardisError(
    'QUOTA_EXCEEDED',
    `the account has no space left, so nothing was sent: ${usedBytes} of ${quotaBytes} bytes are used`,
    { quotaBytes, usedBytes },
  );
}

/** Returns a warning for the user if the account is nearly full; otherwise undefined. */
export function spaceDoubt({ quotaBytes, usedBytes }: AccountSpace): string | undefined {
  const percent = quotaBytes === 0 ? 0 : Math.floor((usedBytes / quotaBytes) * 100);
  if (percent < WARN_FROM_PERCENT) return undefined;
  return `the account uses ${percent} % of its space (${usedBytes} of ${quotaBytes} bytes)`;
}
