/**
 * The server: listens, keeps one session for each client, and stops at a checkpoint. Everything it
 * needs comes in; the tool `tardisd` and the tests start it the same way.
 */
import type { Logger } from 'pino';
import { TardisError } from '../errors/index.js';
import { type Address, describeAddress, type System } from '../system/index.js';
import {
  type Connection,
  DEFAULT_GATE,
  DEFAULT_LINK,
  listen,
  type Listener,
  type ListenOptions,
} from '../transport/index.js';
import { type LoginOptions, LoginService } from './login.js';
import { Quotas } from './quotas.js';
import { Session, type SessionServices } from './session.js';
import type { StorageHost, StorageOptions } from './storage/index.js';

/** A session this silent is dead, and a new one of the same client may end it. */
const DEAD_AFTER_MS = 10_000;
const MAX_CONNECTIONS = 1024;

export interface DaemonOptions extends LoginOptions {
  readonly address: Address;
  /** TLS with it; plain without. */
  readonly certificate?: ListenOptions['certificate'];
  /** From a connection's first moment to the end of its login. */
  readonly loginTimeoutMs: number;
  readonly creditBytes: number;
  readonly timeoutMs: number;
  /** Serve one session, then stop. Over a network, who does not get in has none. */
  readonly single: boolean;
  readonly logExceptions?: boolean;
  readonly storageOptions: StorageOptions;
}

export class Daemon {
  /** Resolves when the daemon has stopped. */
  readonly stopped: Promise<void>;
  private settleStopped!: () => void;
  private readonly sessions = new Set<Session>();
  private readonly byClient = new Map<string, Session>();
  private isStopping = false;
  private readonly listener: Listener;
  private readonly storage: StorageHost;
  private readonly options: DaemonOptions;
  private readonly log: Logger;
  private readonly services: SessionServices;

  private constructor(
    system: System,
    storage: StorageHost,
    options: DaemonOptions,
    log: Logger,
    listener: Listener,
  ) {
    this.storage = storage;
    this.options = options;
    this.log = log;
    this.listener = listener;
    this.stopped = new Promise((resolve) => {
      this.settleStopped = resolve;
    });
    this.services = {
      ...options,
      system,
      storage,
      log,
      login: new LoginService(system, options, log),
      quotas: new Quotas(system, storage, options, log),
      incarnation: system.random.bytes(16),
      claim: (client, session) => this.claim(client, session),
    };
  }

  /** Starts listening. Throws LISTEN_FAILED. */
  static async start(
    system: System,
    storage: StorageHost,
    options: DaemonOptions,
    log: Logger,
  ): Promise<Daemon> {
    const link = { ...DEFAULT_LINK, timeoutMs: options.timeoutMs };
    // Connections may come before `listen` has returned.
    const early: Connection[] = [];
    let accept = (connection: Connection): void => void early.push(connection);
    const { address, certificate, loginTimeoutMs } = options;
    const listener = await listen(system, address, link, (connection) => accept(connection), {
      certificate,
      gate: { ...DEFAULT_GATE, deadlineMs: loginTimeoutMs },
    });
    const daemon = new Daemon(system, storage, options, log, listener);
    accept = (connection) => daemon.accept(connection);
    early.forEach(accept);
    log.info({ address: describeAddress(listener.address) }, 'listening');
    return daemon;
  }

  get address(): Address {
    return this.listener.address;
  }

  /** Ends every session at a checkpoint, then stops. May be called twice. */
  async stop(): Promise<void> {
    if (this.isStopping) return this.stopped;
    this.isStopping = true;
    const closed = this.listener.close();
    const reason = new TardisError('SERVER_STOPPING', 'the server is stopping');
    await Promise.all([...this.sessions].map((session) => session.stop(reason)));
    await Promise.all([...this.sessions].map((session) => session.over));
    await this.storage.close();
    await closed;
    this.log.info('stopped');
    this.settleStopped();
  }

  private accept(connection: Connection): void {
    const isFull = this.sessions.size >= MAX_CONNECTIONS;
    if (this.isStopping || isFull || (this.options.single && this.hasSession)) {
      connection.fail(new TardisError('CLIENT_BUSY', 'the server takes no further session'));
      return;
    }
    const session = new Session(connection, this.services);
    this.sessions.add(session);
    session.over
      .then(async () => {
        this.sessions.delete(session);
        const { client } = session;
        if (client !== undefined && this.byClient.get(client) === session) {
          this.byClient.delete(client);
        }
        if (this.options.single && session.counts) await this.stop();
      })
      .catch((error: unknown) => this.log.error({ err: error }, 'ending a session failed'));
  }

  private get hasSession(): boolean {
    return [...this.sessions].some((session) => session.counts);
  }

  private async claim(client: string, session: Session): Promise<void> {
    if (this.options.single && this.byClient.size > 0) {
      throw new TardisError('CLIENT_BUSY', 'the server takes no further session');
    }
    // Again after each wait: another session may have come first.
    for (let other = this.byClient.get(client); other; other = this.byClient.get(client)) {
      if (!other.isEnding) {
        if (other.silentMs < DEAD_AFTER_MS) {
          throw new TardisError('CLIENT_BUSY', `the client "${client}" has a session`);
        }
        this.log.warn({ client }, 'a dead session is replaced');
        other.cut();
      }
      await other.over;
      if (this.byClient.get(client) === other) this.byClient.delete(client);
    }
    this.byClient.set(client, session);
  }
}
