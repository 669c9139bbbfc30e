/**
 * Makes the connections of one session: the first one and, when one is lost, another, until the server has
 * given the session up, the time for that is over, or nobody wants it any more.
 */
import { asTardisError, TardisError } from '../errors/index.js';
import type { Login } from '../login/index.js';
import type { Address, System } from '../system/index.js';
import {
  Backoff,
  connect,
  type Connection,
  type Head,
  type LinkOptions,
  type Patience,
  type Retry,
  type TlsWish,
} from '../transport/index.js';
import type { SessionLine } from './session-line.js';

export interface Reach {
  /** Resolves with where the server is, once it listens. */
  readonly address: () => Promise<Address>;
  readonly link: LinkOptions;
  /** Undefined: no TLS. */
  readonly tls: TlsWish | undefined;
  readonly patience: Patience;
}

export interface LifelineEvents {
  retrying(retry: Retry): void;
  /** The session is lost for good. */
  failed(error: TardisError): void;
}

/** A session that has begun. */
export interface Begun {
  readonly welcome: Head<'welcome'>;
  readonly login: Login;
  readonly connection: Connection;
}

export class Lifeline {
  /** How often a lost connection was replaced. */
  replaced = 0;
  private connection: Connection | undefined;
  /** Of the last connection that was lost, and how many answers had been heard by then. */
  private patience: Backoff | undefined;
  private handledBefore = 0;
  private failure: TardisError | undefined;
  private readonly over = new AbortController();
  private readonly system: System;
  private readonly line: SessionLine;
  private readonly reach: Reach;
  private readonly events: LifelineEvents;

  constructor(system: System, line: SessionLine, reach: Reach, events: LifelineEvents) {
    this.system = system;
    this.line = line;
    this.reach = reach;
    this.events = events;
  }

  /**
   * Begins the session. What the first attempt meets is told at once, but for a cut; `isAgain`: there were
   * attempts before. Throws what connecting and the login throw.
   */
  async begin(first: Login, isAgain: boolean): Promise<Begun> {
    let login = first;
    let wasCut = isAgain;
    const backoff = this.backoff();
    for (;;) {
      let isConnected = false;
      try {
        const connection = await this.connect();
        isConnected = true;
        // Keys of a client that is being made are kept by the first attempt, whatever becomes of the others.
        const greet = (): Promise<Head<'welcome'>> => this.line.greet(connection, login);
        this.line.onLost = (reason) => this.lost(login, reason);
        const welcome = await (wasCut ? greet() : login.keepingKeys(greet));
        return { welcome, login, connection };
      } catch (error) {
        if (this.failure !== undefined) throw this.failure;
        wasCut ||= isConnected && (isCode(error, 'CONNECTION_LOST') || isCode(error, 'TIMED_OUT'));
        if (!wasCut) throw error;
        // An attempt that was cut may have made it.
        const isMade = login !== first && first.makesClient && isCode(error, 'CLIENT_EXISTS');
        if (!isMade) await this.wait(backoff, error);
        login = login.again({ isMade });
      }
    }
  }

  /** Hangs up in order, having heard all there is to hear. */
  async leave(): Promise<void> {
    this.line.onLost = () => undefined;
    this.connection?.leave();
    await this.connection?.closed;
  }

  /** Ends it. The server keeps what it has received; may be called twice. */
  fail(error: TardisError): void {
    this.failure ??= error;
    this.line.onLost = () => undefined;
    this.over.abort();
    this.connection?.fail(error);
  }

  /** Resolves when no connection is open. */
  async closed(): Promise<void> {
    await this.connection?.closed;
  }

  private lost(login: Login, reason: TardisError): void {
    this.goOn(login, reason).catch((error: unknown) => this.giveUp(error));
  }

  private giveUp(error: unknown): void {
    if (this.failure === undefined) this.events.failed(asTardisError(error));
  }

  /** Replaces a connection. Throws the reason it was lost for, SESSION_GONE, and what cannot pass. */
  private async goOn(login: Login, reason: TardisError): Promise<void> {
    // A connection that brought nothing is no success: the time goes on from the first one that was lost.
    if (this.line.handledCount > this.handledBefore) this.patience = this.backoff();
    const { patience: backoff = this.backoff() } = this;
    this.patience = backoff;
    this.handledBefore = this.line.handledCount;
    for (let why: unknown = reason; ; ) {
      await this.wait(backoff, why);
      try {
        const connection = await this.connect();
        const next = login.again({ isMade: true });
        this.line.onLost = (other) => this.lost(next, other);
        await this.line.greet(connection, next);
        this.replaced += 1;
        return;
      } catch (error) {
        why = error;
      }
    }
  }

  private backoff(): Backoff {
    return new Backoff(this.system, this.reach.patience, this.over.signal);
  }

  private async wait(backoff: Backoff, reason: unknown): Promise<void> {
    await backoff.wait(reason, (retry) => this.events.retrying(retry));
  }

  private async connect(): Promise<Connection> {
    const { address, link, tls } = this.reach;
    const connection = await connect(this.system, await address(), link, tls);
    this.connection = connection;
    if (this.failure !== undefined) {
      connection.fail(this.failure);
      throw this.failure;
    }
    return connection;
  }
}

function isCode(error: unknown, code: TardisError['code']): boolean {
  return error instanceof TardisError && error.code === code;
}
