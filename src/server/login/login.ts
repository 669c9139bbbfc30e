/**
 * Login: decides which clients a peer may open. A client with a key record requires its password. A client without one
 * is open, unless the server requires passwords. Over a network an unknown client requires a password too, with the
 * same work on a decoy, so that neither answers nor timing reveal which clients exist. Over a unix socket, which only
 * the server's own user can open, errors are exact, except those for accounts.
 */
import path from 'node:path';
import type { Logger } from 'pino';
import {
  decoyKeyRecord,
  type KeyRecord,
  type LoginContext,
  type ModPow,
  parseKeyRecord,
  ServerLogin,
} from '../../crypto/index.js';
import {
  asTardisError,
  type ErrorCode,
  protocolViolation,
  TardisError,
} from '../../errors/index.js';
import { Catalog, holdsSeals, sealedWithoutKeys } from '../../store/catalog/index.js';
import {
  accountDirectory,
  bucketAt,
  checkClientName,
  clientExists,
  createClientDirectory,
  fetchAccounts,
  fetchClient,
  hasKeys,
  isAccount,
  isClientDirectory,
  isStore,
  loginKeys,
  newestKeys,
  openClientDirectory,
  requireStore,
  takeJoinCode,
} from '../../store/index.js';
import { catchUp } from '../../store/writer/index.js';
import {
  addressGroup,
  type Clock,
  Credit,
  notBefore,
  type System,
  unguarded,
} from '../../system/index.js';
import type { Channel, Head } from '../../transport/index.js';
import {
  type Attempt,
  type AttemptLimits,
  Attempts,
  DEFAULT_ATTEMPTS,
} from '../limits/attempts.js';
import { LeakyCounts } from '../limits/leaky-counts.js';
import { type Decoy, DECOY_DIRECTORY, decoyFor, keepDecoy } from './login-decoy.js';

/** Maximum number of modular exponentiations at one time, since other work of the process needs the threads too. */
const MAX_POWERS = 2;
/** Minimum time between a greeting and its challenge; it hides whether a file had to be read. */
const CHALLENGE_AFTER_MS = 10;

/** Milliseconds after which an address may create one more client, once it has created as many as it may at once. */
const REFILL_MS = 60_000;

const FIRST_KEYS = 1;

export interface LoginOptions {
  readonly baseDir: string;
  readonly catalogFile: string;
  readonly allowCreate: boolean;
  /** True if the store was there when the server began: it is an error without it, and no client makes it again. */
  readonly isStoreThere?: boolean;
  /** Number of clients that one address may create at once. */
  readonly newHostsAtOnce: number;
  /** The only client that is served; undefined serves all. */
  readonly onlyClient: string | undefined;
  readonly requirePassword: boolean;
  /** Name of an empty file that is created in the directory of each new client. */
  readonly skipFile?: string;
  readonly attempts?: AttemptLimits;
  readonly challengeAfterMs?: number;
  /** Fetches a client's small files and, unless `account` is empty, its accounts. By default, each login does so. */
  readonly fetch?: (client: string, account: string) => Promise<void>;
}

type State = 'open' | 'unknown' | 'keys';

/** The key record of a client, and its bytes. */
interface KeysFound {
  readonly kind: 'keys';
  readonly record: KeyRecord;
  readonly bytes: Buffer;
}

/** The result of looking up a client's name. */
type Found =
  | { readonly kind: 'open' | 'unknown' }
  | KeysFound
  | { readonly kind: 'damaged'; readonly error: TardisError };

/** The owner of a client, or one of its sub-accounts. */
interface LoginName {
  readonly client: string;
  /** Name of the sub-account; empty for the owner. */
  readonly account: string;
}

/** Context of a login. */
interface LoginState {
  readonly attempt: Attempt;
  readonly found: Found;
  /** True if the login would create the client, but an earlier attempt has created it. */
  readonly isRepeated: boolean;
  /** True if the peer may learn which clients exist. */
  readonly isExact: boolean;
}

/** A login that waits for the client's proof. */
export interface PendingLogin {
  readonly challenge: Head<'loginChallenge'>;
  /** The key record whose password is proven; empty if it is a decoy's. */
  readonly keys: Buffer;
  /**
   * Checks the client's proof and returns the server's. Throws LOGIN_FAILED if it is wrong, and CLIENT_EXISTS if a new
   * client was requested but an earlier attempt had created it.
   */
  check(proof: Head<'loginProof'>, context: LoginContext): Promise<Buffer>;
  /** Ends a login whose connection ended before the check. It counts as failed. */
  abandon(): void;
}

/** Place of a client in the store. */
type Place = Parameters<typeof openClientDirectory>[1];

export class LoginService {
  private decoy: Promise<Decoy> | undefined;
  private fallback: Promise<KeyRecord> | undefined;
  private readonly powers = new Credit(MAX_POWERS);
  private readonly attempts: Attempts;
  private readonly newClients: NewClients;
  private readonly gate: StoreGate;

  constructor(
    private readonly system: System,
    private readonly options: LoginOptions,
    private readonly log: Logger,
  ) {
    this.newClients = new NewClients(system.clock, options.newHostsAtOnce);
    this.gate = new StoreGate(system, options, log);
    this.attempts = new Attempts(system.clock, options.attempts ?? DEFAULT_ATTEMPTS);
  }

  /**
   * Looks up the client, and creates it if that is requested and allowed. Returns the login that the peer must complete
   * first; undefined if the client is open. Throws NOT_PERMITTED, CLIENT_EXISTS, CLIENT_NAME_INVALID, PASSWORD_NEEDED,
   * KEYS_LOST, TOO_MANY_ATTEMPTS; NO_SUCH_CLIENT if not `onlyClient`; the errors of `requireStore`. Unknown names throw
   * only over a unix socket.
   */
  async begin(hello: Head<'hello'>, channel: Channel): Promise<PendingLogin | undefined> {
    const startMs = this.system.clock.monotonicMs();
    const { client, account } = hello;
    const { onlyClient, requirePassword } = this.options;
    checkClientName(client);
    if (onlyClient !== undefined && client !== onlyClient) {
      throw new TardisError('NO_SUCH_CLIENT', `this server serves "${onlyClient}" only`);
    }
    const loginName = { client, account };
    if (account !== '') accountDirectory(client, account); // throws for a bad name
    if (hello.create && account !== '') {
      throw protocolViolation('a client can be created, not an account');
    }
    this.requireStore(channel);
    await fetchForLogin(this.system, this.options, loginName);
    const address = addressGroup(channel.peerAddress || undefined);
    const isLimited = channel.kind !== 'unix';
    const isRepeated = hello.create && !(await this.create(hello, isLimited ? address : undefined));
    // Existing clients have guarded directories, which must not take longer than unknown ones.
    const state = unguarded(() => this.stateOf(loginName));
    if (state === 'open') this.requireUnsealed(client);
    if (state === 'open' && !requirePassword) return undefined;
    const attempt = await this.attempts.begin(client, address);
    try {
      if (channel.kind === 'unix' && account === '') {
        const found = this.exact(loginName, this.look(loginName, state, undefined));
        const loginState = { attempt, found, isRepeated, isExact: true };
        return await this.challenge(loginName, address, found.record, loginState);
      }
      const decoy = await this.openDecoy();
      const found = unguarded(() => this.look(loginName, state, decoy.directory));
      const substitute = decoyFor(loginName, decoy);
      const record = found.kind === 'keys' ? found.record : substitute;
      const loginState = { attempt, found, isRepeated, isExact: false };
      const pending = await this.challenge(loginName, address, record, loginState);
      await notBefore(
        this.system.clock,
        startMs + (this.options.challengeAfterMs ?? CHALLENGE_AFTER_MS),
      );
      return pending;
    } catch (error) {
      attempt.dropped();
      throw error;
    }
  }

  /**
   * Throws the reason why the store cannot be read now (NO_SUCH_STORE, IO_FAILED, STORE_NOT_READABLE), before anything
   * is looked up in it: whatever name a peer gives, it gets the same answer, and no guess is counted. Over a network the
   * error names no place.
   */
  requireStore({ kind }: Pick<Channel, 'kind'>): void {
    const fault = this.gate.look();
    if (fault === undefined) return;
    throw kind === 'unix'
      ? fault
      : new TardisError(fault.code, 'the server cannot read its store now');
  }

  /**
   * Creates a client, and counts it for the address `countFor`. Returns false if an earlier attempt has begun the
   * client. A code allows it where sessions may create no clients, and is used up then. Throws NOT_PERMITTED without one,
   * JOIN_CODE_INVALID, PASSWORD_NEEDED if `keys` is empty and the server or a code requires a password,
   * PROTOCOL_VIOLATION if `keys` is not a first key record, and CLIENT_EXISTS.
   */
  private async create(
    { client, keys, code }: Head<'hello'>,
    countFor: string | undefined,
  ): Promise<boolean> {
    const { baseDir, catalogFile, requirePassword, skipFile, isStoreThere } = this.options;
    const hasCode = code !== '';
    if (!this.options.allowCreate && !hasCode) throw mayNotCreate();
    if (keys.length === 0 && (requirePassword || hasCode)) {
      const peer = hasCode ? 'a machine that joins by a code' : 'each client';
      throw new TardisError('PASSWORD_NEEDED', `this server requires a password of ${peer}`);
    }
    if (keys.length > 0 && parseKeyRecord(keys).number !== 1) {
      throw protocolViolation('a new client must send its first key record');
    }
    const place = { store: baseDir, client, catalogFile };
    const giveBack = hasCode
      ? takeJoinCode(this.system, baseDir, { client, secret: code })
      : undefined;
    if (isClientDirectory(this.system, path.join(baseDir, client))) {
      if (await this.isBegun(place, keys.length > 0)) return false;
      throw clientExists(client);
    }
    if (countFor !== undefined && !hasCode) this.newClients.take(countFor);
    try {
      await createClientDirectory(this.system, {
        ...place,
        skipFile,
        isStoreThere,
        ...(keys.length === 0 ? {} : { keys }),
      });
      return true;
    } catch (error) {
      if (countFor !== undefined && !hasCode) this.newClients.giveBack(countFor);
      const { code: reason } = asTardisError(error);
      if (reason !== 'CLIENT_EXISTS') {
        await giveBack?.();
        throw error;
      }
      if (!(await this.isBegun(place, keys.length > 0))) throw error;
      return false;
    }
  }

  /** True as `isBegunClient`. In a bucket, updates the catalog first: another machine may have stored more. */
  private async isBegun(place: Place, hasPassword: boolean): Promise<boolean> {
    const bucket = bucketAt(place.store);
    if (bucket !== undefined) {
      await fetchClient(this.system, bucket, place.client);
      await catchUp(this.system, openClientDirectory(this.system, place));
    }
    return isBegunClient(this.system, place, hasPassword);
  }

  private stateOf({ client, account }: LoginName): State {
    const directory = path.join(this.options.baseDir, client);
    try {
      const isThere = isClientDirectory(this.system, directory);
      // An unknown client takes the same time, because the decoy has keys too.
      const decoy = path.join(this.options.baseDir, DECOY_DIRECTORY);
      const isLocked = hasKeys(this.system, isThere ? directory : decoy);
      if (!isThere) return 'unknown';
      if (account !== '') return isAccount(this.system, directory, account) ? 'keys' : 'unknown';
      return isLocked ? 'keys' : 'open';
    } catch {
      return 'keys'; // reading the keys will report the error
    }
  }

  /** Throws KEYS_LOST if a client without a password has encrypted data. */
  private requireUnsealed(client: string): void {
    const { baseDir, catalogFile } = this.options;
    const place = { store: baseDir, client, catalogFile };
    const { catalogPath } = openClientDirectory(this.system, place);
    if (holdsSeals(this.system, catalogPath)) throw sealedWithoutKeys(client);
  }

  /** Looks up the key record of a client. If it has none, reads the decoy's by the same calls. Never throws. */
  private look(
    { client, account }: LoginName,
    state: State,
    decoyDirectory: string | undefined,
  ): Found {
    const own = path.join(this.options.baseDir, client);
    try {
      const keys =
        state === 'keys' || decoyDirectory === undefined
          ? loginKeys(this.system, own, account)
          : newestKeys(this.system, decoyDirectory);
      const record = keys === undefined ? undefined : parseKeyRecord(keys.bytes);
      if (record !== undefined && record.number !== keys?.number) {
        throw new TardisError('KEYS_DAMAGED', 'a key record has the name of another one');
      }
      if (state !== 'keys') return { kind: state };
      if (keys === undefined || record === undefined) {
        throw new TardisError('KEYS_DAMAGED', 'a key record is missing');
      }
      return { kind: 'keys', record, bytes: keys.bytes };
    } catch (error) {
      return { kind: 'damaged', error: asTardisError(error) };
    }
  }

  /** Returns the key record, or throws the exact error. Only for a peer that may learn which clients exist. */
  private exact({ client }: LoginName, found: Found): KeysFound {
    if (found.kind === 'keys') return found;
    if (found.kind === 'damaged') throw found.error;
    const { baseDir, catalogFile } = this.options;
    openClientDirectory(this.system, { store: baseDir, client, catalogFile }); // throws if the client is missing
    throw new TardisError(
      'PASSWORD_NOT_SET',
      `the client "${client}" has no password, and this server requires one`,
    );
  }

  /**
   * Logs the reason of a failed login, which the client does not learn. Called after the answer was sent, so that
   * it does not change the answer's timing.
   */
  private logForOperator(client: string, address: string, found: Found): void {
    if (found.kind === 'damaged') {
      this.log.error({ client, err: found.error }, 'the key record of a client cannot be used');
      return;
    }
    const reasons = {
      keys: 'wrong password',
      open: 'it has no password',
      unknown: 'no such client',
    };
    this.log.warn({ client, address, reason: reasons[found.kind] }, 'login failed');
  }

  private async challenge(
    { client }: LoginName,
    address: string,
    record: KeyRecord,
    { attempt, found, isRepeated, isExact }: LoginState,
  ): Promise<PendingLogin> {
    const login = await ServerLogin.begin(this.modPow, record);
    let isOpen = true;
    const close = (): boolean => {
      const wasOpen = isOpen;
      isOpen = false;
      return wasOpen;
    };
    return {
      challenge: { ...login.challenge },
      keys: found.kind === 'keys' ? found.bytes : Buffer.alloc(0),
      check: async (proof, context) => {
        if (!close()) throw protocolViolation('a login is proven twice');
        const own = await login.check(proof, context).catch((error: unknown) => {
          if (asTardisError(error).code === 'LOGIN_FAILED') return undefined; // the client's value is degenerate
          attempt.dropped();
          throw error;
        });
        if (own !== undefined && found.kind === 'keys') {
          attempt.succeeded();
          return own;
        }
        attempt.failed();
        setImmediate(() => this.logForOperator(client, address, found));
        if (isRepeated) throw clientExists(client);
        throw isExact
          ? new TardisError('LOGIN_FAILED', 'the password is wrong')
          : loginFailed(client);
      },
      abandon: () => {
        if (close()) attempt.failed();
      },
    };
  }

  /** Modular exponentiation for all logins, a few at a time. */
  private readonly modPow: ModPow = (base, exponent, modulus) =>
    this.powers.run(() => this.system.native.modPow(base, exponent, modulus));

  /**
   * Returns the decoy. It lasts as long as the store, so that a name always has the same salt. If it cannot be
   * stored (the store does not exist yet, or is not writable), it lasts as long as the server.
   */
  private async openDecoy(): Promise<Decoy> {
    if (this.decoy !== undefined) return this.decoy;
    this.fallback ??= decoyKeyRecord(this.modPow);
    const fresh = await this.fallback;
    const { baseDir } = this.options;
    const directory = path.join(baseDir, DECOY_DIRECTORY);
    // Other logins may have waited for the same work; the decoy is stored once.
    if (this.decoy === undefined && isStore(this.system.files, baseDir)) {
      this.decoy = keepDecoy(this.system, directory, fresh, this.log);
    }
    return this.decoy ?? { record: fresh, directory: undefined };
  }
}

/** Finds out if the store of a server can be read now, by what does not depend on the name of a client. */
class StoreGate {
  /** The code of the fault that is in the log; undefined if the store could be read at the last look. */
  private logged: ErrorCode | undefined;

  constructor(
    private readonly system: System,
    private readonly options: Pick<LoginOptions, 'baseDir' | 'isStoreThere'>,
    private readonly log: Pick<Logger, 'error' | 'warn'>,
  ) {}

  /** Returns the fault of the store, and logs it once; undefined if the store can be read. A bucket has another check. */
  look(): TardisError | undefined {
    const { baseDir, isStoreThere } = this.options;
    if (isStoreThere !== true || bucketAt(baseDir) !== undefined) return undefined;
    const fault = this.faultOf(baseDir);
    if (fault !== undefined && fault.code !== this.logged) {
      const { code, message } = fault;
      this.log.error({ code, reason: message }, 'logins are refused: the store cannot be read');
    }
    if (fault === undefined && this.logged !== undefined) {
      this.log.warn('logins are taken again: the store can be read');
    }
    this.logged = fault?.code;
    return fault;
  }

  private faultOf(store: string): TardisError | undefined {
    try {
      requireStore(this.system.files, store);
    } catch (error) {
      return asTardisError(error, `reading ${store}`, 'readStore');
    }
    try {
      unguarded(() => newestKeys(this.system, path.join(store, DECOY_DIRECTORY)));
    } catch (error) {
      const fault = asTardisError(error);
      if (fault.code === 'IO_FAILED') return fault; // a decoy that is not usable otherwise is replaced
    }
    return undefined;
  }
}

function mayNotCreate(): TardisError {
  return new TardisError(
    'NOT_PERMITTED',
    'this server lets no session create a client: create it with `sonic create -C NAME --password` on the ' +
      "server's machine, and omit --create; or let the administrator make a code (`sonic create --code-for`); or set AllowNewHosts at the server",
  );
}

/** Returns one error for all reasons, so that the error reveals none of them. */
function loginFailed(client: string): TardisError {
  return new TardisError(
    'LOGIN_FAILED',
    `the password is wrong, or the server has no client "${client}"`,
  );
}

/**
 * Fetches the small files of a client from the bucket of the store, if it is in one. If an account logs in, fetches the
 * client's accounts too. Throws errors of a bucket.
 */
async function fetchForLogin(
  system: System,
  { fetch, baseDir }: Pick<LoginOptions, 'fetch' | 'baseDir'>,
  { client, account }: { readonly client: string; readonly account: string },
): Promise<void> {
  const bucket = bucketAt(baseDir);
  if (bucket === undefined) return;
  if (fetch !== undefined) {
    await fetch(client, account);
    return;
  }
  await fetchClient(system, bucket, client);
  if (account !== '') await fetchAccounts(system, bucket, client);
}

/**
 * Limit on the clients that one address may create. With AllowNewHosts, any peer that reaches the server could
 * otherwise fill its store with clients.
 */
class NewClients {
  private readonly made: LeakyCounts;

  constructor(clock: Clock, atOnce: number) {
    this.made = new LeakyCounts(clock, { burst: atOnce, refillMs: REFILL_MS });
  }

  /** Counts a client before it is created. Throws TOO_MANY_ATTEMPTS if the address must wait. */
  take(address: string): void {
    const waitMs = this.made.waitMs(address);
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1000);
      const text = `too many new clients from this address: wait ${seconds} s, or make them by \`sonic create\` on the server's machine`;
      throw new TardisError('TOO_MANY_ATTEMPTS', text, { seconds });
    }
    this.made.add(address, 1);
  }

  /** Removes a client that was not created from the count. */
  giveBack(address: string): void {
    this.made.add(address, -1);
  }
}

/**
 * True if a client has no complete set, and only the key records of a new client: none, or with `hasPassword` the
 * first one. The run that created such a client was interrupted, and another run that creates it may continue. The
 * password still controls access. False for a client that cannot be read, since its contents are unknown.
 */
function isBegunClient(
  system: System,
  place: Parameters<typeof openClientDirectory>[1],
  hasPassword: boolean,
): boolean {
  try {
    const { path, catalogPath } = openClientDirectory(system, place);
    const number = newestKeys(system, path)?.number ?? 0;
    if (number !== (hasPassword ? FIRST_KEYS : 0)) return false;
    return Catalog.reading(system, catalogPath, ({ sets }) =>
      sets.all().every(({ state }) => state === 'unfinished'),
    );
  } catch (error) {
    if (error instanceof TardisError) return false;
    throw error;
  }
}
