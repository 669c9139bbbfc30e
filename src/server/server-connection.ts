/**
 * One connection on the server: greeting, login, rights, and passing its messages to the client's session. That
 * session is a new one, or one that has lost its connection.
 *
 *   greeting ──hello──▸ (challenged ──loginProof──▸) opening ──▸ ready ──closeSet──▸ ready ──▸ over
 *
 * Messages that arrive during the login or while the client is opened wait; before the login they are few and
 * small. Every message is checked against the connection's rights before any other code handles it. A backup client
 * must first return the ticket from the welcome of this connection, so that messages recorded on another one are
 * refused.
 */
import { asTardisError, type ErrorCode, protocolViolation, TardisError } from '../errors/index.js';
import { Catalog } from '../store/catalog/index.js';
import { type ClientDirectory, openClientDirectory } from '../store/index.js';
import { programVersion } from '../system/index.js';
import {
  type Connection,
  decodeMessage,
  encodeMessage,
  type Head,
  type MessageName,
  MESSAGES,
  PROTOCOL_VERSION,
  Purpose,
} from '../transport/index.js';
import { ClientSession, type SessionOwner } from './client-session.js';
import type { PendingLogin } from './login/login.js';
import { checkToken, requireUnchanged, type TokenHolder } from './login/token-login.js';
import { isReadingQuestion } from './queries/read-only.js';
import { reportedSpace } from './quotas.js';
import {
  limited,
  type LoginOf,
  purposeOf,
  requireFitting,
  requireNewest,
  requireRight,
  type Rights,
  rightsOf,
  watchLogin,
} from './session-rights.js';
import type { SessionServices } from './session-services.js';
import { bringUpToDate, errorForClient, sendElsewhere } from './shared-clients.js';
import { NO_BYTES } from '../model/index.js';

/** Errors of a connection after which its client may return. */
const CUT: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CONNECTION_LOST', 'TIMED_OUT']);
/** Maximum number of messages that may wait while a client is opened. */
const MAX_EARLY_MESSAGES = 64;
const MAX_EARLY_BYTES = 64 << 10;

export class ServerConnection {
  /**
   * Resolves when the connection is over. The client's session is then over too, unless it continues without a
   * connection.
   */
  readonly over: Promise<void>;
  /** The session. It is set after the login, for a backup only once no other session has the client. */
  private session: ClientSession | undefined;
  private early: { name: MessageName; bytes: Buffer }[] | undefined;
  private earlyBytes = 0;
  private rights: Rights | undefined;
  private stopWatch: () => void = () => undefined;
  private isGreeted = false;
  /** True after the client has returned the ticket from the welcome of this connection. */
  private isMet = false;
  /** True if the connection resumes a session that has lost its connection. */
  private isReturn = false;
  /** True if the peer is authenticated. */
  private isProven = false;
  private challenged: Challenged | undefined;
  /** The account, if the peer has logged in by a token; such a peer only reads. */
  private holder: TokenHolder | undefined;
  private isOver = false;
  private opening: Promise<void> | undefined;

  constructor(
    readonly connection: Connection,
    private readonly services: SessionServices,
  ) {
    connection.onMessage((name, bytes) => this.receive(name, bytes));
    this.over = this.run();
  }

  /** True if the connection counts as a session; over TCP only after login. */
  get counts(): boolean {
    return this.session !== undefined || this.connection.channel.kind === 'unix';
  }

  /** Name of the client; undefined until there is a session. */
  get client(): string | undefined {
    return this.session?.client;
  }

  /** Ends the session at a checkpoint and sends the reason to the client. */
  async stop(reason: TardisError): Promise<void> {
    await this.session?.end();
    this.connection.fail(reason);
  }

  private async run(): Promise<void> {
    const reason = await this.connection.closed;
    this.isOver = true;
    this.challenged?.login.abandon();
    await this.opening;
    this.stopWatch();
    const isCut = reason !== undefined && CUT.has(reason.code);
    this.session?.lost(this, isCut || this.isUnprovenReturn);
    const goesOn = this.session?.isEnding === false;
    if (!goesOn) await this.session?.over; // until then the client's lock is held
  }

  /**
   * True if the peer has resumed a session but not returned its new ticket. An attacker may have recorded an older
   * ticket on the wire, so the session stays open for its real client.
   */
  private get isUnprovenReturn(): boolean {
    return this.isReturn && !this.isMet;
  }

  private receive(name: MessageName, bytes: Buffer): void {
    try {
      this.dispatch(name, bytes);
    } catch (error) {
      this.refuse(error);
    }
  }

  private dispatch(name: MessageName, bytes: Buffer): void {
    const row = MESSAGES[name];
    if (this.rights === undefined && !row.beforeLogin && this.early === undefined) {
      throw new TardisError('NOT_PERMITTED', `"${name}" came before the greeting`);
    }
    if (name === 'hello') {
      this.greet(bytes);
      return;
    }
    if (name === 'loginToken') {
      const { protocol, token } = decodeMessage(name, bytes).head;
      this.beginGreeting(protocol);
      this.opening = this.takeToken(token).catch((error: unknown) => this.refuse(error));
      return;
    }
    if (name === 'loginProof') {
      this.opening = this.prove(bytes).catch((error: unknown) => this.refuse(error));
      return;
    }
    if (this.early !== undefined) {
      this.earlyBytes += bytes.length;
      if (this.early.length >= MAX_EARLY_MESSAGES || this.earlyBytes > MAX_EARLY_BYTES) {
        throw protocolViolation('too many messages before the welcome');
      }
      this.early.push({ name, bytes });
      return;
    }
    const { rights, session } = this;
    if (rights === undefined || session === undefined) return; // the connection was refused
    if (row.right !== undefined) requireRight(rights, row.right, session.account);
    if (this.holder !== undefined && name !== 'taken' && !isReadingQuestion(name)) {
      throw new TardisError('NOT_PERMITTED', `a session by a token does not send "${name}"`);
    }
    if (name === 'setKeys') this.requireNoBackups(session.client);
    if (name === 'acknowledge') {
      const { ticket, upTo } = decodeMessage(name, bytes).head;
      session.acknowledge(ticket, upTo);
      this.isMet = true;
      return;
    }
    if (!this.isMet && session.purpose === Purpose.backup) {
      throw protocolViolation(`"${name}" came before the ticket was shown`);
    }
    session.post(name, bytes);
  }

  private greet(bytes: Buffer): void {
    const { head } = decodeMessage('hello', bytes);
    this.beginGreeting(head.protocol);
    requireFitting(this.services, head, this.connection.channel);
    this.opening = this.enter(head, bytes).catch((error: unknown) => this.refuse(error));
  }

  /** Handles the first message. Throws PROTOCOL_VIOLATION for a second one, PROTOCOL_VERSION for another version. */
  private beginGreeting(protocol: number): void {
    if (this.isGreeted) throw protocolViolation('a second greeting');
    this.isGreeted = true;
    if (protocol !== PROTOCOL_VERSION) {
      throw new TardisError(
        'PROTOCOL_VERSION',
        `the client speaks protocol ${protocol}, this server ${PROTOCOL_VERSION}`,
        { client: protocol, server: PROTOCOL_VERSION },
      );
    }
    this.early = [];
  }

  /**
   * Opens a reading session for the holder of a token. Throws NOT_LOGGED_IN or NOT_PERMITTED if the token grants none.
   */
  private async takeToken(token: Head<'loginToken'>['token']): Promise<void> {
    const { services, connection } = this;
    services.login.requireStore(connection.channel);
    const first = await checkToken(services, token, connection.channel);
    if (this.isOver) return;
    const { client, account } = first.parts;
    connection.admit();
    this.isProven = true;
    const rights = limited(first.rights, this.services.restricted);
    requireRight(rights, 'list', account);
    const owner = { client, account, purpose: Purpose.read, mayPurge: false, run: '' };
    await this.begin(owner, first.directory);
    if (this.isOver) return;
    await requireUnchanged(services, first); // opening took time
    if (this.isOver) return;
    this.watchEvery(() => requireUnchanged(services, first));
    this.holder = first;
    services.log.info({ client, account }, 'session by a token begins');
    this.rights = rights;
    connection.send('tokenTaken', {
      protocol: PROTOCOL_VERSION,
      software: SOFTWARE,
      rights: [...rights],
      isSealed: first.isSealed,
    });
    this.takeEarly();
  }

  private async enter(hello: Head<'hello'>, greeting: Buffer): Promise<void> {
    const login = await this.services.login.begin(hello, this.connection.channel);
    if (login === undefined) {
      await this.open(hello, NO_BYTES, NO_BYTES);
      return;
    }
    if (this.isOver) {
      login.abandon();
      return;
    }
    const challenge = encodeMessage('loginChallenge', login.challenge);
    this.challenged = { login, hello, greeting, challenge: challenge.head };
    this.connection.sendEncoded(challenge);
  }

  private async prove(bytes: Buffer): Promise<void> {
    const { challenged } = this;
    if (challenged === undefined) throw protocolViolation('unexpected login proof');
    this.challenged = undefined;
    const { login, hello, greeting, challenge } = challenged;
    const { kind: channelKind, keyingMaterial } = this.connection.channel;
    const context = { channelKind, keyingMaterial, greeting, challenge };
    const proof = await login.check(decodeMessage('loginProof', bytes).head, context);
    await this.open(hello, proof, login.keys);
  }

  /**
   * Opens or resumes the session of a client after its login. The limits for unauthenticated peers no longer apply.
   * `proven` is the key record whose password was proven, empty if none was required. Throws LOGIN_FAILED if that
   * record is not the newest any more, since a change of the password makes the old one invalid.
   */
  private async open(hello: Head<'hello'>, proof: Buffer, proven: Buffer): Promise<void> {
    const { client, account, ticket } = hello;
    const { system, baseDir, catalogFile, shared } = this.services;
    this.connection.admit();
    const purpose = purposeOf(hello.purpose);
    const isProven = proof.length > 0 || this.connection.channel.kind === 'unix';
    if (purpose !== Purpose.backup && !isProven) {
      const why = 'over a network, reading and copying need a password';
      throw new TardisError(
        'NOT_PERMITTED',
        `${why}; the client has none: \`sonic setpass\` on the machine of the store`,
      );
    }
    await bringUpToDate(this.services, { client, account, purpose });
    const directory = openClientDirectory(system, { store: baseDir, client, catalogFile });
    const own = { directory: directory.path, account };
    requireNewest(system, own, proven);
    this.isProven = isProven;
    const rights = this.rightsOf(own);
    if (rights.has('admin')) await shared?.fetchAccountFiles(); // they list the clients that belong together
    requireRight(rights, purpose === Purpose.read ? 'list' : 'add', account);
    if (await sendElsewhere(this.services, this.connection, { client, purpose }, proof)) return;
    if (ticket.length > 0) {
      if (this.isOver) return;
      this.session = this.resumed(hello);
      this.isReturn = true;
    } else {
      const mayPurge = this.mayPurge(rights);
      await this.begin({ client, account, purpose, mayPurge, run: hello.run }, directory);
      if (this.isOver) return;
    }
    if (account !== '') this.watchAccount(client, own, proven);
    // Opening took time, and a welcome with other keys would be read as a forgery.
    const keys = requireNewest(system, own, proven);
    this.welcome(rights, proof, keys);
  }

  private rightsOf(own: LoginOf): Rights {
    const { system, restricted } = this.services;
    return limited(rightsOf(system, own, this.isOwnChild), restricted);
  }

  /** True if the client has started this server, and can access the files of the store itself. */
  private get isOwnChild(): boolean {
    const { single, restricted } = this.services;
    return single && restricted === undefined && this.connection.channel.kind === 'unix';
  }

  private mayPurge(rights: Rights): boolean {
    return this.isOwnChild || rights.has('purge');
  }

  private async begin(owner: SessionOwner, directory: ClientDirectory): Promise<void> {
    const session = new ClientSession(owner, this, this.services);
    if (owner.purpose !== Purpose.read) await this.services.claim(session);
    this.session = session;
    await session.open(directory);
    const { peerAddress } = this.connection.channel;
    void session.over.then(() => this.services.left?.(session.visitFrom(peerAddress)));
  }

  /** Resumes the session. Throws SESSION_GONE, with one text for all reasons, PROTOCOL_VIOLATION for a wrong `upTo`. */
  private resumed({ client, account, purpose, ticket, upTo }: Head<'hello'>): ClientSession {
    const session = this.services.sessionOf(client);
    const isSame = session?.account === account && session.purpose === purpose;
    if (session === undefined || !isSame || !session.accepts(ticket)) {
      throw new TardisError('SESSION_GONE', 'there is no session to resume');
    }
    session.resume(this, ticket, upTo);
    return session;
  }

  /**
   * Throws NOT_PERMITTED if an unauthenticated peer would set the first password of a client that has backups. With
   * that password it could read all of them and lock out every other user. Over a network, any peer may send a
   * greeting.
   */
  private requireNoBackups(client: string): void {
    if (this.isProven) return;
    const { system, baseDir, catalogFile } = this.services;
    const { catalogPath } = openClientDirectory(system, { store: baseDir, client, catalogFile });
    const hasNone = ({ sets }: Catalog): boolean => sets.all().length === 0;
    if (Catalog.reading(system, catalogPath, hasNone)) return;
    const why = 'over a network nobody sets the first password of a client that has backups';
    const instead = 'run `sonic setpass` on the machine of the store';
    throw new TardisError('NOT_PERMITTED', `${why}: ${instead}`);
  }

  /** Updates the rights of an account at intervals. Ends the session if its login or its right to purge is gone. */
  private watchAccount(client: string, own: LoginOf, proven: Buffer): void {
    const { shared, system } = this.services;
    this.watchEvery(async () => {
      await shared?.fetchAccounts(client);
      this.rights &&= this.rightsOf(own);
      requireNewest(system, own, proven);
      if (this.session?.mayPurge === true && this.rights && !this.mayPurge(this.rights)) {
        throw new TardisError('SESSION_GONE', 'the right "purge" was taken: begin again without');
      }
      if (this.rights?.has('admin') === true) await shared?.fetchAccountFiles();
    });
  }

  /** Calls `look` at intervals. An error of `look` ends the connection. */
  private watchEvery(look: () => Promise<void>): void {
    this.stopWatch = watchLogin(look, (error) => {
      if (!this.isOver) this.refuse(error); // a session that is parked stays
    });
  }

  private welcome(rights: Rights, proof: Buffer, keys: Buffer): void {
    const { creditBytes, incarnation, log } = this.services;
    const session = this.session!;
    const { client, account } = session;
    this.rights = rights;
    log.info({ client, account: account || undefined }, 'session begins');
    this.connection.send('welcome', {
      protocol: PROTOCOL_VERSION,
      software: SOFTWARE,
      incarnation,
      creditBytes,
      proof,
      keys,
      ...reportedSpace(session.space),
      ticket: session.newestTicket,
      upTo: session.receivedCount,
    });
    session.sendUnacknowledged();
    this.takeEarly();
  }

  private takeEarly(): void {
    const early = this.early ?? [];
    this.early = undefined;
    for (const { name, bytes } of early) this.receive(name, bytes);
  }

  refuse(error: unknown): void {
    const failure = asTardisError(error);
    const { log } = this.services;
    const { code, message } = failure;
    const client = this.session?.client;
    if (client !== undefined && this.session?.purpose === Purpose.backup) {
      this.services.refused(client, failure);
    }
    if (failure.row.kind === 'bug') log.error({ client, err: failure }, 'a bug');
    else {
      const detail = this.services.logExceptions === true ? { err: failure } : {};
      log.warn({ client, code, reason: message, ...detail }, 'session refused');
    }
    // Discards everything after the last checkpoint, since the message may have been applied in part.
    if (!this.isUnprovenReturn) void this.session?.abandon();
    this.connection.fail(this.services.shared === undefined ? failure : errorForClient(failure));
  }
}

/** Name and version of this server in greetings and logs. */
const SOFTWARE = `tardis-pipeline ${programVersion()}`;

/** A client that received a challenge, and the bytes that its proof covers. */
interface Challenged {
  readonly login: PendingLogin;
  readonly hello: Head<'hello'>;
  readonly greeting: Buffer;
  readonly challenge: Buffer;
}
