/**
 * Keeps this machine's data of clients in a bucket up to date while a program reads them: the clients' small files, and
 * their catalogs. Commits are applied in a separate thread, so that requests are answered meanwhile.
 */
import {
  asTardisError,
  BUCKET_ERRORS,
  fromWire,
  TardisError,
  type WireError,
} from '../../errors/index.js';
import {
  type BucketAccess,
  checkClientName,
  type ClientDirectory,
  fetchAccountFiles,
  fetchAccounts,
  fetchClient,
  openClientDirectory,
  requireClientList,
} from '../index.js';
import { type Channel, looseDelay, type System, Thread } from '../../system/index.js';
import { isBehind } from './catch-up.js';

/** Umask of the cache, which only its owner may read. */
export const CACHE_UMASK = 0o077;

/** Maximum time for which a request waits for an update, if it can be answered without. */
const MAX_WAIT_MS = 2000;
/** Minimum time between two checks for new commits of one client, if missing packs cause the checks. */
const LEAST_MS = 2000;
/**
 * Time for which fetched accounts are used before they are fetched again. A change is noticed within twice this time.
 */
const ACCOUNTS_MS = 2000;
/** Maximum number of clients that are remembered, since requests without a login may have any name. */
const MAX_REMEMBERED = 1024;
/**
 * Maximum number of lookups that requests without a login may cause at once, and the time after which one more is
 * allowed.
 */
const LOOKS = Object.freeze({ most: 60, refillMs: 1000 });

/** The input of the thread. */
interface CatchUpTask {
  readonly directory: ClientDirectory;
  readonly umask: number;
}

/** The message that the thread sends at its end. */
export interface CatchUpAnswer {
  readonly error: WireError | undefined;
}

/** The channel to the thread. */
export interface CatchUpChannel extends Channel {
  readonly data: CatchUpTask;
  readonly toThread: never;
  readonly fromThread: CatchUpAnswer;
}

interface FollowingOptions {
  readonly system: System;
  readonly access: BucketAccess;
  readonly catalogFile: string;
  /** Minimum time between two checks for new commits of one client. */
  readonly everyMs: number;
  /** Prints a line, when the bucket cannot be read and when it can be read again. */
  readonly warn: (line: string) => void;
  /** Applies the commits that a client's catalog lacks. The default does so in a thread. */
  readonly apply?: ((directory: ClientDirectory) => Promise<void>) | undefined;
}

interface Followed {
  /** The check for new commits that is in progress. */
  running: Promise<void> | undefined;
  /** The transfer of small files that is in progress. */
  fetching: Promise<void> | undefined;
  /** Time at which the last check for new commits ended. */
  lookedMs: number;
  /** Time at which the last transfer of small files ended. */
  fetchedMs: number;
  /** The last fetch of the client's accounts, unless it failed. */
  accounts: Promise<void> | undefined;
  /** Time at which the last fetch of accounts began. */
  accountsMs: number;
}

export class Following {
  private readonly followed = new Map<string, Followed>();
  /** Resolves when the thread that was started last has ended. Only one thread runs at a time. */
  private applying: Promise<void> = Promise.resolve();
  private stopThread: (() => Promise<unknown>) | undefined;
  private looks: number = LOOKS.most;
  private refilledMs: number;
  private lastReported = '';
  private lastReportedAccounts = '';
  /** The last fetch of the files of accounts, unless it failed, and the time at which it began. */
  private files: { readonly atMs: number; readonly looking: Promise<void> } | undefined;
  private isClosed = false;

  constructor(private readonly options: FollowingOptions) {
    this.refilledMs = options.system.clock.monotonicMs();
  }

  /** Throws an error of the bucket if the bucket cannot be read now. */
  async requireBucket(): Promise<void> {
    const { system, access } = this.options;
    await requireClientList(system, access);
  }

  /** Brings a client up to date. Throws NO_SUCH_CLIENT, CLIENT_BUSY, STORE_FORKED, and errors of a bucket. */
  refresh(client: string): Promise<void> {
    const one = this.of(client);
    one.running ??= this.bring(client).finally(() => {
      one.running = undefined;
      one.lookedMs = this.nowMs();
    });
    return one.running;
  }

  /** Brings a client up to date as `refresh` does, but never rejects. A failure is printed with `warn`. */
  async attempt(client: string): Promise<void> {
    try {
      await this.refresh(client);
      if (this.lastReported !== '') this.warn('the bucket can be read again');
      this.lastReported = '';
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (!this.isClosed) this.warn(`the bucket cannot be read: ${message} [${code}]`);
    }
  }

  /**
   * Brings a client up to date if that is due. The call waits only a short time, and the work continues in the
   * background. If the client has no catalog here, the call waits for the end of the work, and throws as `refresh`
   * does.
   */
  async refreshIfDue(client: string): Promise<void> {
    const one = this.of(client);
    if (one.running === undefined && this.nowMs() - one.lookedMs < this.options.everyMs) return;
    const looking = this.attempt(client);
    if (this.isHere(client)) await Promise.race([looking, looseDelay(MAX_WAIT_MS)]);
    else await this.refresh(client);
  }

  /**
   * Brings a client up to date because an object was missing. Does nothing if the client was brought up to date a
   * moment ago. Throws as `refresh` does.
   */
  async again(client: string): Promise<void> {
    const one = this.of(client);
    if (one.running === undefined && this.nowMs() - one.lookedMs < LEAST_MS) return;
    await this.refresh(client);
  }

  /**
   * Fetches the small files of a client, for a request that is not logged in. Fetches nothing if this client, or many
   * clients, were requested a moment ago. Throws errors of a bucket.
   */
  async look(client: string): Promise<void> {
    checkClientName(client);
    const known = this.followed.get(client);
    const isNew = known !== undefined && this.nowMs() - known.fetchedMs < this.options.everyMs;
    // If nothing is fetched, nothing is remembered, since many names would evict those that are in use.
    if (isNew || (known?.fetching === undefined && !this.mayLook())) return;
    await this.fetch(client, this.of(client));
  }

  /**
   * Fetches the accounts of a client, for a request that is not logged in. Fetches nothing if many names were requested
   * a moment ago. If the accounts cannot be used, the error is only printed: a different answer would reveal that the
   * client exists. A login then fails with this error later. Throws errors of a bucket.
   */
  async lookAccounts(client: string): Promise<void> {
    checkClientName(client);
    if (!this.hasNewAccounts(client) && !this.mayLook()) return;
    try {
      await this.fetchAccounts(client);
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (Object.hasOwn(BUCKET_ERRORS, code)) throw error;
      const line = `the accounts of "${client}" cannot be used: ${message} [${code}]`;
      if (line !== this.lastReportedAccounts) this.options.warn(line);
      this.lastReportedAccounts = line;
    }
  }

  /**
   * Fetches the accounts of a client, for a user who is logged in. Does nothing if they were fetched a moment ago.
   * Throws ACCOUNTS_DAMAGED and errors of a bucket.
   */
  fetchAccounts(client: string): Promise<void> {
    checkClientName(client);
    const one = this.of(client);
    if (one.accounts !== undefined && this.hasNewAccounts(client)) return one.accounts;
    const { system, access } = this.options;
    const looking = fetchAccounts(system, access, client);
    one.accounts = looking;
    one.accountsMs = this.nowMs();
    looking.catch(() => {
      if (one.accounts === looking) one.accounts = undefined; // the callers get the error
    });
    return looking;
  }

  /**
   * Fetches the files of accounts that own clients. Does nothing if they were fetched a moment ago. Throws
   * ACCOUNTS_DAMAGED and errors of a bucket.
   */
  fetchAccountFiles(): Promise<void> {
    const atMs = this.nowMs();
    if (this.files !== undefined && atMs - this.files.atMs < ACCOUNTS_MS) return this.files.looking;
    const { system, access } = this.options;
    const looking = fetchAccountFiles(system, access);
    this.files = { atMs, looking };
    looking.catch(() => {
      if (this.files?.looking === looking) this.files = undefined; // the callers get the error
    });
    return looking;
  }

  private hasNewAccounts(client: string): boolean {
    const one = this.followed.get(client);
    return one?.accounts !== undefined && this.nowMs() - one.accountsMs < ACCOUNTS_MS;
  }

  /** Fetches the small files of a client, for a user who is logged in. Throws errors of a bucket. */
  async fetchNow(client: string): Promise<void> {
    checkClientName(client);
    await this.fetch(client, this.of(client));
  }

  /** Ends the thread. Calls that wait for the thread reject with INTERRUPTED. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.stopThread?.();
  }

  private async bring(client: string): Promise<void> {
    checkClientName(client);
    await this.fetch(client, this.of(client));
    const { system, access, catalogFile } = this.options;
    const directory = openClientDirectory(system, { store: access.cache, client, catalogFile });
    const isFirst = this.of(client).lookedMs === -Infinity; // opening the catalog shows what the log has lost
    if (!isFirst && !(await isBehind(system, directory))) return;
    const apply = this.options.apply ?? ((behind) => this.applyInThread(behind));
    const applied = this.applying.then(() => apply(directory));
    this.applying = applied.catch(() => undefined); // the caller gets the error
    await applied;
  }

  private fetch(client: string, one: Followed): Promise<void> {
    const { system, access } = this.options;
    one.fetching ??= fetchClient(system, access, client, { isEven: true })
      .then(() => {
        one.fetchedMs = this.nowMs();
      })
      .finally(() => {
        one.fetching = undefined;
      });
    return one.fetching;
  }

  private async applyInThread(directory: ClientDirectory): Promise<void> {
    if (this.isClosed) throw ended();
    const entry = new URL('./catch-up-thread.js', import.meta.url);
    const start = { entry, name: 'catch-up', data: { directory, umask: CACHE_UMASK } };
    const { error } = await new Promise<CatchUpAnswer>((resolve, reject) => {
      const thread = new Thread<CatchUpChannel>(start, resolve);
      this.stopThread = () => thread.terminate();
      void thread.exited.then((error) => reject(this.isClosed ? ended() : error));
    });
    if (error !== undefined) throw fromWire(error);
  }

  private isHere(client: string): boolean {
    const { system, access, catalogFile } = this.options;
    return system.files.status(`${access.cache}/${client}/${catalogFile}`) !== undefined;
  }

  private of(client: string): Followed {
    const known = this.followed.get(client);
    if (known !== undefined) return known;
    for (const [name, { running, fetching }] of this.followed) {
      if (this.followed.size < MAX_REMEMBERED) break;
      if (running === undefined && fetching === undefined) this.followed.delete(name);
    }
    const never = { lookedMs: -Infinity, fetchedMs: -Infinity, accountsMs: -Infinity };
    const none = { running: undefined, fetching: undefined, accounts: undefined };
    const one: Followed = { ...none, ...never };
    this.followed.set(client, one);
    return one;
  }

  private mayLook(): boolean {
    const refills = Math.floor((this.nowMs() - this.refilledMs) / LOOKS.refillMs);
    this.refilledMs += refills * LOOKS.refillMs;
    this.looks = Math.min(LOOKS.most, this.looks + refills);
    if (this.looks === 0) return false;
    this.looks -= 1;
    return true;
  }

  private nowMs(): number {
    return this.options.system.clock.monotonicMs();
  }

  /** Prints a line, unless it is equal to the line printed last. */
  private warn(line: string): void {
    if (line === this.lastReported) return;
    this.lastReported = line;
    this.options.warn(line);
  }
}

function ended(): TardisError {
  return new TardisError('INTERRUPTED', 'bringing the catalog up to date was ended');
}
