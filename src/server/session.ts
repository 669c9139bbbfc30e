/**
 * One connection on the server: greeting, login, rights, and the way of its messages to the storage.
 *
 *   greeting ──hello──▸ (challenged ──loginProof──▸) opening ──▸ ready ──closeSet──▸ ready ──▸ over
 *
 * Messages that come while the client logs in or is being opened wait; before the login they are few and small. Every message is checked against the
 * session's rights before anything else looks at it. When the connection ends without order, what
 * was received is kept at a checkpoint and the set stays unfinished.
 */
import type { Logger } from 'pino';
import { asTardisError, TardisError } from '../errors/index.js';
import { loginDirectory, newestKeys, openClientDirectory, readRights } from '../store/index.js';
import type { System } from '../system/index.js';
import {
  type Connection,
  decodeMessage,
  encodeMessage,
  type Head,
  type MessageName,
  MESSAGES,
  PROTOCOL_VERSION,
  Purpose,
  type PurposeName,
  type Right,
  type Rights,
} from '../transport/index.js';
import type { LoginService, PendingLogin } from './login.js';
import { type Admission, type Quotas, toldSpace } from './quotas.js';
import { SOFTWARE } from './software.js';
import type { StorageHandle, StorageHost, StorageOptions } from './storage/index.js';

/** What the owner of a client may do by default: add and read, not take away. */
const DEFAULT_RIGHTS: Rights = Object.freeze({
  add: true,
  read: true,
  list: true,
  purge: false,
  admin: false,
});

/** Messages that may wait while a client is opened. */
const MAX_EARLY_MESSAGES = 64;
const MAX_EARLY_BYTES = 64 << 10;
/** Answers a client does not read; then its messages are not read either. */
const MAX_UNREAD_ANSWER_BYTES = 16 << 20;
const UNREAD_CHECK_MS = 100;
/** What is taken from a sub-account counts this soon in sessions that are under way. */
const RIGHTS_CHECK_MS = 2000;

export interface SessionServices {
  readonly system: System;
  readonly storage: StorageHost;
  readonly storageOptions: StorageOptions;
  readonly baseDir: string;
  readonly catalogFile: string;
  readonly login: LoginService;
  readonly quotas: Quotas;
  readonly creditBytes: number;
  readonly incarnation: Buffer;
  readonly log: Logger;
  /** Log every refusal with its call chain, not only bugs. */
  readonly logExceptions?: boolean;
  /** Makes room for this session: ends a dead one of the same client, or throws CLIENT_BUSY. */
  claim(client: string, session: Session): Promise<void>;
}

/** A client that was asked for its password, and the bytes that its proof is about. */
interface Challenged {
  readonly login: PendingLogin;
  readonly hello: Head<'hello'>;
  readonly greeting: Buffer;
  readonly challenge: Buffer;
}

export class Session {
  /** Known once the client has logged in and has the client to itself. */
  client: string | undefined;
  /** Resolves when connection and storage are over. */
  readonly over: Promise<void>;
  private handle: StorageHandle | undefined;
  private space: Admission | undefined;
  private early: { name: MessageName; bytes: Buffer }[] | undefined;
  private earlyBytes = 0;
  private rights: Rights | undefined;
  /** The sub-account that is logged in; empty: the owner. */
  private account = '';
  private rightsCheck: NodeJS.Timeout | undefined;
  private isGreeted = false;
  private challenged: Challenged | undefined;
  private unprocessedBytes = 0;
  private isPaused = false;
  private isOver = false;
  private opening: Promise<void> | undefined;
  private abandoned: Promise<void> | undefined;
  private readonly connection: Connection;
  private readonly services: SessionServices;

  constructor(connection: Connection, services: SessionServices) {
    this.connection = connection;
    this.services = services;
    connection.onMessage((name, bytes) => this.receive(name, bytes));
    this.over = this.run();
  }

  /** Whether it is one: over a network, who does not get in has none. */
  get counts(): boolean {
    return this.client !== undefined || this.connection.channel.kind === 'unix';
  }

  /** Milliseconds since the client was last heard of. */
  get silentMs(): number {
    return this.connection.silentMs;
  }

  /** Its connection is over; only its last checkpoint may still be under way. */
  get isEnding(): boolean {
    return this.isOver;
  }

  /** Ends the session at a checkpoint and tells the client why. */
  async stop(reason: TardisError): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    try {
      await handle?.end();
    } catch (error) {
      this.services.log.error({ err: error, client: this.client }, 'checkpoint failed');
    }
    this.connection.fail(reason);
  }

  /** For a connection that is dead: no farewell can reach it. */
  cut(): void {
    this.connection.terminate();
  }

  private async run(): Promise<void> {
    const reason = await this.connection.closed;
    this.isOver = true;
    clearInterval(this.rightsCheck);
    this.challenged?.login.abandon();
    await this.opening; // it closes what it opens from here on
    const { handle } = this;
    this.handle = undefined;
    const { log } = this.services;
    try {
      await handle?.end();
      log.info({ client: this.client, reason: reason?.code }, 'session over');
    } catch (error) {
      log.error({ client: this.client, err: error }, 'session over, its last checkpoint failed');
    }
    await this.abandoned; // until then the client is locked
    this.space?.release();
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
    if (name === 'loginProof') {
      this.opening = this.prove(bytes).catch((error: unknown) => this.refuse(error));
      return;
    }
    if (this.early !== undefined) {
      this.earlyBytes += bytes.length;
      if (this.early.length >= MAX_EARLY_MESSAGES || this.earlyBytes > MAX_EARLY_BYTES) {
        throw new TardisError('PROTOCOL_VIOLATION', 'too many messages before the welcome');
      }
      this.early.push({ name, bytes });
      return;
    }
    const { rights } = this;
    if (rights !== undefined && row.right !== undefined) {
      requireRight(rights, row.right, this.account);
    }
    if (name === 'setKeys' && this.account !== '') {
      throw new TardisError('NOT_PERMITTED', 'an account has no say in the keys of its client');
    }
    this.unprocessedBytes += bytes.length;
    this.handle?.post(name, bytes);
    this.throttle();
  }

  private greet(bytes: Buffer): void {
    if (this.isGreeted) throw new TardisError('PROTOCOL_VIOLATION', 'a second greeting');
    this.isGreeted = true;
    const { head } = decodeMessage('hello', bytes);
    if (head.protocol !== PROTOCOL_VERSION) {
      throw new TardisError(
        'PROTOCOL_VERSION',
        `the client speaks protocol ${head.protocol}, this server ${PROTOCOL_VERSION}`,
        { client: head.protocol, server: PROTOCOL_VERSION },
      );
    }
    if (head.create && purposeOf(head.purpose) !== Purpose.backup) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a reader makes no client');
    }
    this.early = [];
    this.opening = this.enter(head, bytes).catch((error: unknown) => this.refuse(error));
  }

  private async enter(hello: Head<'hello'>, greeting: Buffer): Promise<void> {
    const login = await this.services.login.begin(hello, this.connection.channel);
    if (login === undefined) {
      await this.open(hello, Buffer.alloc(0));
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
    if (challenged === undefined) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a proof that nobody asked for');
    }
    this.challenged = undefined;
    const { login, hello, greeting, challenge } = challenged;
    const { kind: channelKind, keyingMaterial } = this.connection.channel;
    const context = { channelKind, keyingMaterial, greeting, challenge };
    const proof = await login.check(decodeMessage('loginProof', bytes).head, context);
    await this.open(hello, proof);
  }

  /** The client has shown that it may: what it may use is no longer a stranger's. */
  private async open(
    { client, account, purpose: text }: Head<'hello'>,
    proof: Buffer,
  ): Promise<void> {
    const { system, baseDir, catalogFile, storage, storageOptions } = this.services;
    this.connection.admit();
    const purpose = purposeOf(text);
    const isProven = proof.length > 0 || this.connection.channel.kind === 'unix';
    if (purpose === Purpose.read && !isProven) {
      const why = 'over a network only who has a password may read';
      throw new TardisError('NOT_PERMITTED', `${why}; the client has none (sonic setpass)`);
    }
    const directory = openClientDirectory(system, { store: baseDir, client, catalogFile });
    const rights = account === '' ? DEFAULT_RIGHTS : rightsOf(system, directory.path, account);
    this.account = account;
    requireRight(rights, purpose === Purpose.backup ? 'add' : 'list', account);
    if (purpose === Purpose.backup) await this.services.claim(client, this);
    this.client = client;
    if (purpose === Purpose.backup) this.space = await this.services.quotas.admit(client);
    const options = { ...storageOptions, space: this.space?.grant };
    const handle = await storage.open(directory, purpose, options, {
      answer: (answer, processedBytes) => this.answered(answer, processedBytes),
      failed: (error) => {
        this.handle = undefined;
        this.refuse(error);
      },
    });
    if (this.isOver) {
      await handle.end();
      return;
    }
    this.handle = handle;
    if (account !== '') this.watchRights(directory.path);
    const keys = newestKeys(system, loginDirectory(directory.path, account))?.bytes;
    this.opened(rights, proof, keys ?? Buffer.alloc(0));
  }

  private watchRights(client: string): void {
    this.rightsCheck = setInterval(() => {
      try {
        this.rights &&= rightsOf(this.services.system, client, this.account);
      } catch (error) {
        this.refuse(error);
      }
    }, RIGHTS_CHECK_MS);
    this.rightsCheck.unref();
  }

  private opened(rights: Rights, proof: Buffer, keys: Buffer): void {
    const { creditBytes, incarnation, log } = this.services;
    this.rights = rights;
    log.info({ client: this.client, account: this.account || undefined }, 'session begins');
    this.connection.send('welcome', {
      protocol: PROTOCOL_VERSION,
      software: SOFTWARE,
      incarnation,
      creditBytes,
      proof,
      keys,
      ...toldSpace(this.space),
    });
    const early = this.early ?? [];
    this.early = undefined;
    for (const { name, bytes } of early) this.receive(name, bytes);
  }

  private answered(answer: Buffer | undefined, processedBytes: number): void {
    this.unprocessedBytes -= processedBytes;
    if (answer !== undefined) this.connection.sendBytes(answer);
    this.throttle();
  }

  /** Reads no further while the storage, or the client's reading of answers, is behind. */
  private throttle(): void {
    const tooMany =
      this.unprocessedBytes > this.services.creditBytes ||
      this.connection.bufferedBytes > MAX_UNREAD_ANSWER_BYTES;
    if (tooMany === this.isPaused) return;
    this.isPaused = tooMany;
    if (!tooMany) {
      this.connection.resume();
      return;
    }
    this.connection.pause();
    const recheck = setInterval(() => {
      this.throttle();
      if (!this.isPaused) clearInterval(recheck);
    }, UNREAD_CHECK_MS);
    recheck.unref();
  }

  private refuse(error: unknown): void {
    const failure = asTardisError(error);
    const { log } = this.services;
    const { code, message } = failure;
    if (failure.row.kind === 'bug') log.error({ client: this.client, err: failure }, 'a bug');
    else {
      const detail = this.services.logExceptions === true ? { err: failure } : {};
      log.warn({ client: this.client, code, reason: message, ...detail }, 'session refused');
    }
    const { handle } = this;
    this.handle = undefined;
    // What a broken message began must not be kept: back to the last checkpoint.
    this.abandoned = handle?.abandon().catch((second: unknown) => {
      log.error({ err: second }, 'abandoning failed');
    });
    this.connection.fail(failure);
  }
}

function rightsOf(system: System, client: string, account: string): Rights {
  const given = readRights(system, client, account);
  return {
    add: given.includes('add'),
    read: given.includes('read'),
    list: given.includes('list'),
    purge: given.includes('purge'),
    admin: given.includes('admin'),
  };
}

/** Throws NOT_PERMITTED. */
function requireRight(rights: Rights, right: Right, account: string): void {
  if (rights[right]) return;
  const who = account === '' ? 'this session' : `the account "${account}"`;
  throw new TardisError('NOT_PERMITTED', `${who} does not have the right "${right}"`);
}

function purposeOf(text: string): PurposeName {
  if (text === Purpose.backup || text === Purpose.read) return text;
  throw new TardisError('PROTOCOL_VIOLATION', 'a session of an unknown purpose');
}
