/**
 * Makes the first connection of a session, and replaces each lost one. Stops when the server has dropped the
 * session, the retry time is over, or the session has ended.
 */
import { asTardisError, TardisError } from '../errors/index.js';
import { type Elsewhere, linkToNamed, type Login, SentOn } from '../transport/login/index.js';
import {
  type Address,
  type Clock,
  describeAddress,
  singleAddresses,
  type System,
} from '../system/index.js';
import {
  Backoff,
  type Connection,
  connectAny,
  type Head,
  type InnerListener,
  type LinkOptions,
  type Patience,
  Reconnecting,
  type Retry,
  type TlsOptions,
} from '../transport/index.js';
import type { SessionLine } from './session-line.js';

export interface Reach {
  /** Resolves with the server's address, or its listener if it is in this process, once the server listens. */
  readonly address: () => Promise<Address | InnerListener>;
  readonly link: LinkOptions;
  /** TLS options; undefined if TLS is not used. */
  readonly tls: TlsOptions | undefined;
  readonly patience: Patience;
  /** How the client follows a server's reference to another server; undefined if it follows none. */
  readonly elsewhere?: Elsewhere | undefined;
}

interface ConnectorEvents {
  retrying(retry: Retry): void;
  /** Called when the session is lost and no further connection is tried. */
  failed(error: TardisError): void;
}

/** The first connection of a session, logged in. */
interface FirstConnection {
  readonly welcome: Head<'welcome'>;
  readonly login: Login;
  readonly connection: Connection;
}

export class SessionConnector {
  /** Number of lost connections that were replaced. */
  replaced = 0;
  private connection: Connection | undefined;
  /** The server that had the session last; it is tried first. */
  private home: Address | undefined;
  /** The server of the newest connection. */
  private here: Address | undefined;
  /** The server to which another one has referred the client. Only the next connection uses it. */
  private named: Address | undefined;
  private readonly sentOn: SentOn;
  private readonly silent: SilentServers;
  private readonly reconnecting: Reconnecting;
  private failure: TardisError | undefined;
  private readonly over = new AbortController();

  constructor(
    private readonly system: System,
    private readonly line: SessionLine,
    private readonly reach: Reach,
    private readonly events: ConnectorEvents,
  ) {
    this.sentOn = new SentOn(reach.elsewhere);
    this.silent = new SilentServers(system.clock);
    this.reconnecting = new Reconnecting(system, reach.patience, this.over.signal, (retry) =>
      events.retrying(retry),
    );
  }

  /**
   * Begins the session. Retries if a connection cannot be made or is cut before `welcome`; any other error is thrown at
   * once. `isAgain` is true if the session replaces a lost one. Throws the errors of connecting and of the login.
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
        this.arrived();
        return { welcome, login, connection };
      } catch (error) {
        if (this.failure !== undefined) throw this.failure;
        if (this.isSentOn(error)) {
          wasCut = true; // the client exists: it has a session
          login = login.again({ isMade: false });
          continue;
        }
        wasCut ||= isConnected && (isCode(error, 'CONNECTION_LOST') || isCode(error, 'TIMED_OUT'));
        const { triesFirst = true, waitsForName } = this.reach.patience;
        const mayPass = triesFirst && Backoff.mayPassAtFirst(error, waitsForName);
        if (!wasCut && !mayPass) throw error;
        await wait(error);
        // The attempt that was cut may have created the client; the server continues with a client that is
        // unfinished.
        login = login.again({ isMade: false });
      }
    }
  }

  /**
   * Stops replacing lost connections, since the session is already closed. From then on, `lost` is called if the
   * connection is lost.
   */
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
    if (isCode(reason, 'TIMED_OUT') && this.home !== undefined) this.silent.note(this.home);
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
      for (let isOn = false; !isOn; ) isOn = await this.resumeOnce(login);
      this.arrived();
      this.replaced += 1;
    });
  }

  /** Resumes the session over a new connection; returns false if the server has named another one. */
  private async resumeOnce(login: Login): Promise<boolean> {
    try {
      const connection = await this.connect();
      const next = login.again({ isMade: true });
      this.line.onLost = (other) => this.lost(next, other);
      await this.line.greet(connection, next);
      return true;
    } catch (error) {
      if (this.failure === undefined && this.isSentOn(error)) return false;
      throw error;
    }
  }

  /** Records the server of the newest connection as the one that has the session. */
  private arrived(): void {
    this.home = this.here;
    this.silent.clear();
    this.sentOn.arrived();
  }

  /**
   * Records the server that an error names for the next connection; returns false if it names none, or one that has just
   * been silent. Throws if that connection would be less safe.
   */
  private isSentOn(error: unknown): boolean {
    const named = this.sentOn.next(error);
    this.named = named !== undefined && this.silent.has(named) ? undefined : named;
    return this.named !== undefined;
  }

  private async connect(): Promise<Connection> {
    const { address, link } = this.reach;
    const place = await address();
    const connection =
      place.kind === 'inner' ? place.connect(this.system, link) : await this.connectTo(place);
    this.connection = connection;
    if (this.failure !== undefined) {
      connection.fail(this.failure);
      throw this.failure;
    }
    return connection;
  }

  /** Connects to the server that another one has named, to that of the session, or to one of an address. */
  private async connectTo(address: Address): Promise<Connection> {
    const { link, tls } = this.reach;
    const { named, home } = this;
    this.named = undefined;
    const usual = singleAddresses(address);
    const known = home === undefined ? usual : [home, ...usual];
    const places = named === undefined ? this.silent.inOrder(known) : [named];
    const how = named === undefined ? link : linkToNamed(link);
    const noteSilent = (place: Address): void => this.silent.note(place);
    const found = await connectAny(this.system, places, { link: how, tls, noteSilent });
    this.here = found.address;
    return found.connection;
  }
}

function isCode(error: unknown, code: TardisError['code']): boolean {
  return error instanceof TardisError && error.code === code;
}

/** Time for which a server is passed over: that of a lease, after which another server takes the client over. */
const PASSED_OVER_MS = 15_000;

/**
 * Remembers for a while which servers did not answer, so that a client that knows several tries the others first. A server
 * over a bucket refers clients to the one with their session, also if that has just been lost.
 */
export class SilentServers {
  /** The moment at which each server did not answer. */
  private readonly since = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  note(address: Address): void {
    const name = describeAddress(address);
    // A server that stays silent is tried again after a while.
    if (!this.has(address)) this.since.set(name, this.clock.monotonicMs());
  }

  has(address: Address): boolean {
    const sinceMs = this.since.get(describeAddress(address));
    return sinceMs !== undefined && this.clock.monotonicMs() - sinceMs < PASSED_OVER_MS;
  }

  /** Forgets all of them. */
  clear(): void {
    this.since.clear();
  }

  /** Returns the addresses without repetitions, in their order, but silent servers last. */
  inOrder(addresses: readonly Address[]): Address[] {
    const all = [...new Map(addresses.map((one) => [describeAddress(one), one])).values()];
    return [...all.filter((one) => !this.has(one)), ...all.filter((one) => this.has(one))];
  }
}
