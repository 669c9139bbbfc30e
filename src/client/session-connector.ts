/**
 * Makes the first connection of a session, and replaces each lost one. Stops when the server has dropped the
 * session, the retry time is over, or the session has ended.
 */
import { asTardisError, TardisError } from '../errors/index.js';
import type { Login } from '../transport/login/index.js';
import type { Address, System } from '../system/index.js';
import {
  Backoff,
  connect,
  type Connection,
  type Head,
  type LinkOptions,
  type Patience,
  Reconnecting,
  type Retry,
  type TlsOptions,
} from '../transport/index.js';
import type { SessionLine } from './session-line.js';

export interface Reach {
  /** Resolves with the server's address once the server listens. */
  readonly address: () => Promise<Address>;
  readonly link: LinkOptions;
  /** Undefined if TLS is not used. */
  readonly tls: TlsOptions | undefined;
  readonly patience: Patience;
}

export interface ConnectorEvents {
  retrying(retry: Retry): void;
  /** Called when the session is lost and no further connection is tried. */
  failed(error: TardisError): void;
}

/** The first connection of a session, logged in. */
export interface FirstConnection {
  readonly welcome: Head<'welcome'>;
  readonly login: Login;
  readonly connection: Connection;
}

export class SessionConnector {
  /** Number of lost connections that were replaced. */
  replaced = 0;
  private connection: Connection | undefined;
  private readonly reconnecting: Reconnecting;
  private failure: TardisError | undefined;
  private readonly over = new AbortController();
  private readonly system: System;
  private readonly line: SessionLine;
  private readonly reach: Reach;
  private readonly events: ConnectorEvents;

  constructor(system: System, line: SessionLine, reach: Reach, events: ConnectorEvents) {
    this.system = system;
    this.line = line;
    this.reach = reach;
    this.events = events;
    this.reconnecting = new Reconnecting(system, reach.patience, this.over.signal, (retry) =>
      events.retrying(retry),
    );
  }

  /**
   * Begins the session. Retries if a connection cannot be made or is cut before `welcome`; any other error is
   * thrown at once. `isAgain` is true if there were attempts before. Throws the errors of connecting and of
   * the login.
   */
  async begin(first: Login, isAgain: boolean): Promise<FirstConnection> {
    let login = first;
    let wasCut = isAgain;
    const wait = this.reconnecting.first();
    for (;;) {
      let isConnected = false;
      try {
        const connection = await this.connect();
        isConnected = true;
        // The first attempt that reaches the server stores the keys of a new client in the key file. They
        // stay there if the connection is cut, because the server may have created the client.
        const greet = (): Promise<Head<'welcome'>> => this.line.greet(connection, login);
        this.line.onLost = (reason) => this.lost(login, reason);
        const welcome = await (wasCut ? greet() : login.keepingKeys(greet));
        return { welcome, login, connection };
      } catch (error) {
        if (this.failure !== undefined) throw this.failure;
        wasCut ||= isConnected && (isCode(error, 'CONNECTION_LOST') || isCode(error, 'TIMED_OUT'));
        const { triesFirst = true } = this.reach.patience;
        if (!wasCut && !(triesFirst && Backoff.mayPassAtFirst(error))) throw error;
        await wait(error);
        // The attempt that was cut may have created the client; the server continues with a client that is
        // unfinished.
        login = login.again({ isMade: false });
      }
    }
  }

  /** Calls `lost` if the connection is lost from now on, and does not replace it: the session is already closed. */
  expectNoMore(lost: (reason: TardisError) => void): void {
    this.line.onLost = lost;
  }

  /** Closes the connection in order, after all pending answers have arrived. */
  async leave(): Promise<void> {
    this.line.onLost = () => undefined;
    this.connection?.leave();
    await this.connection?.closed;
  }

  /** Ends the session; the server keeps what it has received. May be called twice. */
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

  /**
   * Replaces a lost connection. Throws the reason of the loss when the retry time is over, SESSION_GONE, and
   * errors that a retry cannot solve.
   */
  private goOn(login: Login, reason: TardisError): Promise<void> {
    return this.reconnecting.replace(reason, this.line.handledCount, async () => {
      const connection = await this.connect();
      const next = login.again({ isMade: true });
      this.line.onLost = (other) => this.lost(next, other);
      await this.line.greet(connection, next);
      this.replaced += 1;
    });
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
