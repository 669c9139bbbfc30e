/**
 * Who may open which client. A client with a key record asks for its password; one without is open,
 * unless the server requires passwords. Over a network a client that is not there asks too, by the same
 * work on a decoy, so that neither answers nor times tell which clients there are. Over a unix socket,
 * which only the server's own user can open, errors are exact.
 */
import { createHmac } from 'node:crypto';
import path from 'node:path';
import type { Logger } from 'pino';
import {
  decoyKeyRecord,
  type KeyRecord,
  type LoginContext,
  type ModPow,
  parseKeyRecord,
  ServerLogin,
} from '../crypto/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import {
  addKeys,
  checkClientName,
  createClientDirectory,
  hasKeys,
  isAccount,
  isClientDirectory,
  loginDirectory,
  newestKeys,
  openClientDirectory,
  readRights,
} from '../store/index.js';
import { addressGroup, type System } from '../system/index.js';
import { type Channel, Credit, type Head } from '../transport/index.js';
import { Attempts, type AttemptLimits, DEFAULT_ATTEMPTS } from './attempts.js';

/** Holds the decoy; no client's name begins with a dot. */
const DECOY_DIRECTORY = '.login';
const SALT_LABEL = 'tardis decoy 1: salt';
/** Powers computed at once: other work of the process needs the threads too. */
const MAX_POWERS = 2;
/** A challenge comes no sooner than this after its question: it hides whether a file had to be read. */
const CHALLENGE_AFTER_MS = 10;

export interface LoginOptions {
  readonly baseDir: string;
  readonly catalogFile: string;
  readonly allowCreate: boolean;
  /** Serve no other client. */
  readonly onlyClient: string | undefined;
  readonly requirePassword: boolean;
  /** Made, empty, in the directory of each new client. */
  readonly skipFile?: string;
  readonly attempts?: AttemptLimits;
  readonly challengeAfterMs?: number;
}

type State = 'open' | 'unknown' | 'keys';

/** What the server found under a client's name. */
type Found =
  | { readonly kind: 'open' | 'unknown' }
  | { readonly kind: 'keys'; readonly record: KeyRecord }
  | { readonly kind: 'damaged'; readonly error: TardisError };

/** Who wants to be let in: the owner of a client, or one of its sub-accounts. */
interface Who {
  readonly client: string;
  /** Empty: the owner. */
  readonly account: string;
}

/** What stands for all clients that are not there. */
interface Decoy {
  readonly record: KeyRecord;
  /** Where it is kept, if it can be. */
  readonly directory: string | undefined;
}

/** A login that has been challenged. */
export interface PendingLogin {
  readonly challenge: Head<'loginChallenge'>;
  /** The server's proof. Throws LOGIN_FAILED. Without a call, the login counts as failed by `abandon`. */
  check(proof: Head<'loginProof'>, context: LoginContext): Promise<Buffer>;
  /** The connection ended before it was checked. */
  abandon(): void;
}

export class LoginService {
  private decoy: Promise<Decoy> | undefined;
  private fallback: Promise<KeyRecord> | undefined;
  private readonly powers = new Credit(MAX_POWERS);
  private readonly attempts: Attempts;
  private readonly system: System;
  private readonly options: LoginOptions;
  private readonly log: Logger;

  constructor(system: System, options: LoginOptions, log: Logger) {
    this.system = system;
    this.options = options;
    this.log = log;
    this.attempts = new Attempts(system.clock, options.attempts ?? DEFAULT_ATTEMPTS);
  }

  /**
   * Looks who is there, making the client if that is asked for and allowed. Returns the login that must
   * come first, or nothing when the client is open. Throws NO_SUCH_CLIENT and NO_SUCH_STORE over a unix
   * socket only, NOT_PERMITTED, CLIENT_EXISTS, CLIENT_NAME_INVALID, PASSWORD_NEEDED, TOO_MANY_ATTEMPTS.
   */
  async begin(hello: Head<'hello'>, channel: Channel): Promise<PendingLogin | undefined> {
    const startMs = this.system.clock.monotonicMs();
    const { client, account } = hello;
    const { onlyClient, requirePassword } = this.options;
    checkClientName(client);
    if (onlyClient !== undefined && client !== onlyClient) {
      throw new TardisError('NO_SUCH_CLIENT', `this server serves "${onlyClient}" only`);
    }
    const who = { client, account };
    const own = loginDirectory(path.join(this.options.baseDir, client), account);
    if (hello.create && account !== '') {
      throw new TardisError('PROTOCOL_VIOLATION', 'an account is of a client that is there');
    }
    if (hello.create) await this.create(client, hello.keys);
    const address = addressGroup(channel.peerAddress || undefined);
    const state = this.stateOf(who);
    if (state === 'open' && !requirePassword) return undefined;
    this.attempts.check(client, address);
    if (channel.kind === 'unix') {
      return this.challenge(client, address, this.exact(who, this.look(own, state, undefined)));
    }
    const decoy = await this.openDecoy();
    const found = this.look(own, state, decoy.directory);
    const substitute = decoyFor(who, decoy);
    const record = found.kind === 'keys' ? found.record : substitute;
    const pending = await this.challenge(client, address, record, found);
    await this.notBefore(startMs + (this.options.challengeAfterMs ?? CHALLENGE_AFTER_MS));
    return pending;
  }

  private async create(client: string, keys: Buffer): Promise<void> {
    const { allowCreate, requirePassword, baseDir, catalogFile, skipFile } = this.options;
    if (!allowCreate) {
      throw new TardisError('NOT_PERMITTED', 'this server lets no session create its client');
    }
    if (keys.length === 0 && requirePassword) {
      throw new TardisError('PASSWORD_NEEDED', 'this server requires a password of each client');
    }
    if (keys.length > 0 && parseKeyRecord(keys).number !== 1) {
      throw new TardisError('PROTOCOL_VIOLATION', 'the keys of a new client are not its first');
    }
    await createClientDirectory(this.system, {
      store: baseDir,
      client,
      catalogFile,
      ...(skipFile === undefined ? {} : { skipFile }),
      ...(keys.length === 0 ? {} : { keys }),
    });
  }

  private stateOf({ client, account }: Who): State {
    const directory = path.join(this.options.baseDir, client);
    try {
      const isThere = isClientDirectory(this.system, directory);
      const isLocked = hasKeys(this.system, directory);
      if (!isThere) return 'unknown';
      if (account !== '') return isAccount(this.system, directory, account) ? 'keys' : 'unknown';
      return isLocked ? 'keys' : 'open';
    } catch {
      return 'keys'; // reading them will tell why
    }
  }

  /** Reads a key record in any case: where the client has none, the decoy's, by the same calls. */
  private look(own: string, state: State, decoyDirectory: string | undefined): Found {
    try {
      const keys = newestKeys(this.system, state === 'keys' ? own : (decoyDirectory ?? own));
      const record = keys === undefined ? undefined : parseKeyRecord(keys.bytes);
      if (record !== undefined && record.number !== keys?.number) {
        throw new TardisError('KEYS_DAMAGED', 'a key record has the name of another one');
      }
      if (state !== 'keys') return { kind: state };
      if (record === undefined) throw new TardisError('KEYS_DAMAGED', 'a key record is missing');
      return { kind: 'keys', record };
    } catch (error) {
      return { kind: 'damaged', error: asTardisError(error) };
    }
  }

  /** For who may know what is there. */
  private exact({ client, account }: Who, found: Found): KeyRecord {
    if (found.kind === 'keys') return found.record;
    if (found.kind === 'damaged') throw found.error;
    const { baseDir, catalogFile } = this.options;
    const { path: directory } = openClientDirectory(this.system, {
      store: baseDir,
      client,
      catalogFile,
    });
    if (account !== '') readRights(this.system, directory, account);
    throw new TardisError(
      'PASSWORD_NOT_SET',
      `the client "${client}" has no password, and this server requires one`,
    );
  }

  /** What the client is not told. Said when it has its answer, so that it takes no time of that. */
  private tellOperator(client: string, address: string, found: Found): void {
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
    client: string,
    address: string,
    record: KeyRecord,
    found: Found = { kind: 'keys', record },
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
      check: async (proof, context) => {
        if (!close()) throw new TardisError('PROTOCOL_VIOLATION', 'a login is proven twice');
        const own = await login.check(proof, context).catch((error: unknown) => {
          if (asTardisError(error).code === 'LOGIN_FAILED') return undefined; // a degenerate value
          throw error;
        });
        if (own !== undefined && found.kind === 'keys') {
          this.attempts.succeeded(client, address);
          return own;
        }
        this.attempts.failed(client, address);
        setImmediate(() => this.tellOperator(client, address, found));
        throw loginFailed(client);
      },
      abandon: () => {
        if (close()) this.attempts.failed(client, address);
      },
    };
  }

  /** Powers of all sessions, a few at a time. */
  private readonly modPow: ModPow = async (base, exponent, modulus) => {
    const turn = this.powers.take(1);
    if (turn !== undefined) await turn;
    try {
      return await this.system.native.modPow(base, exponent, modulus);
    } finally {
      this.powers.give(1);
    }
  };

  /**
   * The decoy lasts as long as the store, so that one name always has one salt. Where it cannot be kept
   * (there is no store yet, or it cannot be written to) it lasts as long as the server.
   */
  private async openDecoy(): Promise<Decoy> {
    if (this.decoy !== undefined) return this.decoy;
    this.fallback ??= decoyKeyRecord(this.modPow);
    const fresh = await this.fallback;
    const { system } = this;
    const { baseDir } = this.options;
    const directory = path.join(baseDir, DECOY_DIRECTORY);
    // Others may have waited for the same; it is kept once.
    if (this.decoy === undefined && system.files.status(baseDir) !== undefined) {
      this.decoy = this.keepDecoy(directory, fresh);
    }
    return this.decoy ?? { record: fresh, directory: undefined };
  }

  private async keepDecoy(directory: string, fresh: KeyRecord): Promise<Decoy> {
    const { system } = this;
    try {
      if (system.files.status(directory) === undefined) system.files.makeDirectory(directory);
      if (newestKeys(system, directory) === undefined) {
        await addKeys(system, directory, { number: 1, bytes: fresh.bytes });
      }
      return { record: parseKeyRecord(newestKeys(system, directory)!.bytes), directory };
    } catch (error) {
      this.log.warn({ err: error }, 'the decoy of logins cannot be kept in the store');
      return { record: fresh, directory: undefined };
    }
  }

  private async notBefore(timeMs: number): Promise<void> {
    const waitMs = timeMs - this.system.clock.monotonicMs();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(waitMs)));
  }
}

/** One text for all that may be wrong, so that it tells nothing. */
function loginFailed(client: string): TardisError {
  return new TardisError(
    'LOGIN_FAILED',
    `the password is wrong, or the server has no client "${client}"`,
  );
}

/** The decoy as one name sees it. Its verifier never leaves the server, so it serves as the secret. */
function decoyFor({ client, account }: Who, { record }: Decoy): KeyRecord {
  const name = account === '' ? client : `${client}/${account}`; // names have no slash
  const salt = createHmac('sha256', record.verifier).update(SALT_LABEL).update(name).digest();
  return { ...record, salt: salt.subarray(0, record.salt.length) };
}
