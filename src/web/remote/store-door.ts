/**
 * The `Door` of a store on this machine. It serves clients to logins by password or token. It has no keys. Rights are
 * read again every two seconds, so that a revoked right soon has no effect.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Logger } from 'pino';
import type { FastifyRequest } from 'fastify';
import type { RecordDecoder } from '../../contents/index.js';
import { Access, type ClientOverview, openHistoryIn } from '../../history/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { RightName } from '../../model/index.js';
import {
  lookAt,
  lookForToken,
  LoginService,
  overviewBeside,
  OverviewMemory,
  overviewOf,
} from '../../server/index.js';
import {
  hasEncryptingKeys,
  isTokenOf,
  loginKeys,
  openClientDirectory,
  parseToken,
  type QuotaChange,
  readRights,
} from '../../store/index.js';
import { BoundedCache, type System, unguarded } from '../../system/index.js';
import type { Certificate } from '../../transport/index.js';
import {
  type AboutClient,
  addressOf,
  type Door,
  HistoryPool,
  type Lease,
  type Visitor,
} from '../api/index.js';
import { Logins, type Proven } from './logins.js';
import { type LoginOf, Sessions } from './sessions.js';
import { notLoggedIn, TokenAttempts, tokenOf } from './token-attempts.js';

/** Rights of the owner of a client in this program, which never writes. */
const OWNER_RIGHTS: ReadonlySet<RightName> = new Set<RightName>(['list', 'read']);
/** Time for which the rights of a login, and the overview that it gets, are remembered. */
const RIGHTS_CHECK_MS = 2000;
/** Maximum number of logins for which these are remembered. */
const MAX_REMEMBERED = 1024;

/** Keeps clients of a bucket up to date on this machine. */
export interface ClientsOfBucket {
  /** Fetches the small files of a client, for a request that is not logged in. */
  look(client: string): Promise<void>;
  /** Fetches the accounts of a client, for a request that is not logged in. */
  lookAccounts(client: string): Promise<void>;
  /** Fetches the accounts of a client, for a request with a login. */
  fetchAccounts(client: string): Promise<void>;
  /** Fetches the files that list accounts with their clients. */
  fetchAccountFiles(): Promise<void>;
  /** Brings a client up to date if that is due. */
  refreshIfDue(client: string): Promise<void>;
  /** Brings a client up to date after an object was missing. */
  again(client: string): Promise<void>;
}

/** The `tardisd` in the process of this page, as new machines reach it. */
export interface OwnServer {
  readonly port: number;
  readonly certificate: Pick<Certificate, 'cert'>;
  /** Changes a setting that is stored with a client, or removes it. Throws CLIENT_BUSY, CONFIG_INVALID. */
  changeSetting(client: string, key: string, value: string | undefined): Promise<void>;
  /** Changes the quota of the account that owns a client. Throws ACCOUNT_FILE_MISSING and the like. */
  changeQuota(client: string, quotaBytes: number): Promise<QuotaChange>;
}

export interface StoreDoorOptions {
  readonly system: System;
  readonly decoder: RecordDecoder;
  readonly store: string;
  readonly catalogFile: string;
  /** The only client that is served; undefined serves all. */
  readonly onlyClient?: string | undefined;
  readonly allowsCache: boolean;
  readonly log: Logger;
  /** Access to the bucket, if the store is in one; otherwise undefined. */
  readonly following?: ClientsOfBucket | undefined;
  /** The `tardisd` in this process, which administers the store; undefined for a program that only reads. */
  readonly ownServer?: OwnServer | undefined;
}

interface Remembered {
  readonly rights: ReadonlySet<RightName>;
  readonly untilMs: number;
}

export class StoreDoor implements Door {
  readonly program = 'tardisremote';
  readonly system: System;
  readonly allowsCache: boolean;
  readonly sessions: Sessions;
  readonly logins: Logins;
  private readonly pool: HistoryPool;
  private readonly remembered = new BoundedCache<string, Remembered>(MAX_REMEMBERED);
  private readonly overviews = new BoundedCache<
    string,
    { readonly clients: Promise<readonly ClientOverview[]>; readonly untilMs: number }
  >(MAX_REMEMBERED);
  private readonly memory = new OverviewMemory();
  private readonly attempts: TokenAttempts;
  private readonly service: LoginService;

  constructor(readonly options: StoreDoorOptions) {
    const { system, decoder, store, catalogFile, onlyClient, allowsCache, log, following } =
      options;
    this.system = system;
    this.allowsCache = allowsCache;
    this.pool = new HistoryPool(system, decoder);
    this.sessions = new Sessions(system.clock);
    this.attempts = new TokenAttempts(system.clock);
    this.service = new LoginService(
      system,
      {
        baseDir: store,
        catalogFile,
        isStoreThere: true,
        allowCreate: false,
        newHostsAtOnce: 1,
        onlyClient,
        requirePassword: true,
        ...(following === undefined
          ? {}
          : { fetch: (client, account) => lookAt(following, client, account) }),
      },
      log,
    );
    this.logins = new Logins(this.service);
  }

  async authenticate(request: FastifyRequest): Promise<Visitor> {
    const token = tokenOf(request);
    this.service.requireStore({ kind: 'tls' }); // otherwise sessions would end, and tokens count as wrong
    const known = await this.bySession(token);
    if (known !== undefined) return known;
    const visitor = await this.attempts.check(token, addressOf(request), () =>
      this.byLongToken(token),
    );
    if (visitor === undefined) throw notLoggedIn('the token is wrong, or its session has ended');
    return visitor;
  }

  private async bySession(token: string): Promise<Visitor | undefined> {
    const login = this.sessions.find(token);
    if (login === undefined) return undefined;
    await this.fetchAccountsOf(login); // if the bucket cannot be reached, this throws, and the session continues
    try {
      return { client: login.client, account: login.account, rights: this.rightsOf(login) };
    } catch (error) {
      this.sessions.end(token);
      throw notLoggedIn(`the login has ended: ${asTardisError(error).code}`);
    }
  }

  /** Fetches the accounts for a login from a bucket to this machine. Throws errors of a bucket. */
  private async fetchAccountsOf({ client, account }: Pick<LoginOf, 'client' | 'account'>) {
    if (account !== '') await this.options.following?.fetchAccounts(client);
  }

  private async byLongToken(text: string): Promise<Visitor | undefined> {
    const parts = parseToken(text);
    // Requests for clients that are not served must not use up the lookups of the client that is.
    if (parts === undefined || !this.serves(parts.client)) return undefined;
    const { client, account } = parts;
    const { store, following } = this.options;
    const directory = path.join(store, client);
    const isTokenHere = (): boolean => unguarded(() => isTokenOf(this.system, directory, parts));
    if (following !== undefined) await lookForToken(following, client, isTokenHere());
    if (!isTokenHere()) return undefined;
    try {
      openClientDirectory(this.system, this.placeOf(client));
      return { client, account, rights: new Set(readRights(this.system, directory, account)) };
    } catch (error) {
      throw notLoggedIn(`the token does not count: ${asTardisError(error).code}`);
    }
  }

  /**
   * Begins the session of a login whose proof was right. Throws NOT_PERMITTED without the right `list`, LOGIN_FAILED if
   * the password was changed since the login began, and NO_SUCH_ACCOUNT.
   */
  async beginSession({
    client,
    account,
    keys,
  }: Proven): Promise<ReturnType<Sessions['begin']> & { rights: ReadonlySet<RightName> }> {
    await this.fetchAccountsOf({ client, account });
    const login: LoginOf = { client, account, keysHash: hashOf(keys) };
    const rights = this.readRightsOf(login);
    if (!rights.has('list')) {
      throw new TardisError('NOT_PERMITTED', 'the account does not have the right "list"');
    }
    return { ...this.sessions.begin(login), rights };
  }

  /**
   * Returns the rights of a login, read at most RIGHTS_CHECK_MS ago. Throws LOGIN_FAILED if the password was changed
   * since, NO_SUCH_ACCOUNT, and errors of reading.
   */
  private rightsOf(login: LoginOf): ReadonlySet<RightName> {
    const key = `${login.client}/${login.account}/${login.keysHash}`;
    const nowMs = this.system.clock.monotonicMs();
    const known = this.remembered.get(key);
    if (known !== undefined && nowMs < known.untilMs) return known.rights;
    this.remembered.delete(key);
    const rights = this.readRightsOf(login);
    this.remembered.set(key, { rights, untilMs: nowMs + RIGHTS_CHECK_MS });
    return rights;
  }

  private readRightsOf({ client, account, keysHash }: LoginOf): ReadonlySet<RightName> {
    const { system } = this;
    const { path: directory } = openClientDirectory(system, this.placeOf(client));
    const keys = loginKeys(system, directory, account);
    if (keys === undefined || hashOf(keys.bytes) !== keysHash) {
      throw new TardisError('LOGIN_FAILED', 'the password was changed');
    }
    return account === '' ? OWNER_RIGHTS : new Set(readRights(system, directory, account));
  }

  /**
   * Returns the visitor's client. With the right `admin`, returns all clients of the client's owner. The answer is
   * remembered for a moment, since it takes opening each catalog.
   */
  async clients({ client = '', rights }: Visitor): Promise<readonly ClientOverview[]> {
    const key = `${client}/${rights.has('admin')}`;
    const nowMs = this.system.clock.monotonicMs();
    const known = this.overviews.get(key);
    if (known !== undefined && nowMs < known.untilMs) return known.clients;
    const clients = this.clientsNow(client, rights);
    this.overviews.set(key, { clients, untilMs: nowMs + RIGHTS_CHECK_MS });
    clients.catch(() => this.overviews.delete(key)); // the caller gets the error
    return clients;
  }

  private async clientsNow(
    client: string,
    rights: Visitor['rights'],
  ): Promise<readonly ClientOverview[]> {
    const { system } = this;
    const { store, catalogFile, following } = this.options;
    await following?.refreshIfDue(client);
    const { memory } = this;
    if (!rights.has('admin')) return overviewOf(system, { store, catalogFile, memory }, [client]);
    await following?.fetchAccountFiles();
    const own = openClientDirectory(system, this.placeOf(client));
    const all = await overviewBeside(system, own, { memory });
    return all.filter((one) => this.serves(one.client));
  }

  async open(client: string): Promise<Lease> {
    const { system } = this;
    if (!this.serves(client)) {
      throw new TardisError('NO_SUCH_CLIENT', `this server does not serve "${client}"`);
    }
    await this.options.following?.refreshIfDue(client);
    const directory = openClientDirectory(system, this.placeOf(client));
    const isSealed = hasEncryptingKeys(system, directory.path);
    // The key has the catalog's identity, since a rewrite replaces the directory, and with it the catalog.
    const key = `${client}/${isSealed}/${system.files.status(directory.catalogPath)?.identity ?? ''}`;
    return this.pool.lease(key, async () => ({
      history: openHistoryIn(system, directory, new Access(undefined)),
      isSealed,
    }));
  }

  about(): AboutClient {
    return { offers: this.options.ownServer === undefined ? [] : ['administer'] };
  }

  /** Number of clients that are open. */
  get openCount(): number {
    return this.pool.size;
  }

  async close(): Promise<void> {
    this.logins.close();
    await this.pool.close();
  }

  private serves(client: string): boolean {
    const { onlyClient } = this.options;
    return onlyClient === undefined || client === onlyClient;
  }

  private placeOf(client: string): { store: string; client: string; catalogFile: string } {
    const { store, catalogFile } = this.options;
    return { store, client, catalogFile };
  }
}

function hashOf(keys: Buffer): string {
  return createHash('sha256').update(keys).digest('hex');
}
