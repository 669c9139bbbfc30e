/**
 * The client's side of greeting and login. With a password the server must prove its identity, even if its certificate
 * is valid. A server that accepts the client without a login is then rejected. If the server requires a password and
 * none was given, `ask` prompts the user.
 */
import {
  ClientLogin,
  type KeyFile,
  type Keyring,
  type KeyRecord,
  keyringOf,
  type MadeKeyRecord,
  type ModPow,
  newAccountRecord,
  rememberKeyRecord,
  newKeyRecord,
  openKeyRecord,
  parseKeyRecord,
  type StretchedPassword,
  stretchPassword,
  type StretchParameters,
  wholeRecord,
  withNewKeys,
  withoutKeys,
} from '../../crypto/index.js';
import { protocolViolation, TardisError, usageError } from '../../errors/index.js';
import type { KnownClient } from '../../crypto/identity/index.js';
import { programVersion, type System } from '../../system/index.js';
import {
  type ClientLine,
  decodeMessage,
  encodeMessage,
  type Head,
  PROTOCOL_VERSION,
  type PurposeName,
} from '../index.js';

/** The means by which a user logs in. */
/** The secrets that were last stretched from a password, for several logins in a row: stretching takes a fifth of a second. */
export interface KeptStretch {
  /** The salt and the parameters. */
  like?: string;
  secrets?: StretchedPassword;
}

export interface Credentials {
  /** The password; undefined if none was given. */
  readonly password: Buffer | undefined;
  /**
   * Prompts the user for the password if the server requires one and none was given. `signal` ends the prompt when the
   * password is no longer needed. Throws PASSWORD_NEEDED if the user cannot be prompted.
   */
  ask(signal: AbortSignal): Promise<Buffer>;
  /**
   * True (the default) if a client that is created with a password encrypts; false if the password is only for the
   * login.
   */
  readonly encrypts?: boolean;
  /** Memory and other parameters for stretching a new password; undefined for the default. */
  readonly stretch?: StretchParameters | undefined;
  /** Keeps the stretched password from login to login; undefined to keep nothing. */
  readonly keptStretch?: KeptStretch | undefined;
  /** The sub-account to log in with; undefined for the client's owner. */
  readonly account?: string | undefined;
  /**
   * File with the wrapped keys, also for a client that this login creates; undefined if the keys are in the store.
   */
  readonly keyFile?: KeyFile | undefined;
  /**
   * True if the keys are to be written from the store to the key file. The file then need not contain them yet, or
   * exist.
   */
  readonly fillsKeyFile?: boolean;
  /** Key record of the client that a new client is a copy of. The copy has the same keys, under the same password. */
  readonly copied?: KeyRecord | undefined;
  /** Secret of a code by which the server makes this client; undefined if there is none. */
  readonly code?: string | undefined;
  /** This machine's memory of the client; undefined to compare nothing. */
  readonly identity?: KnownClient | undefined;
}

/** The client to log in to, and whether to create it. */
interface LoginTarget {
  readonly client: string;
  readonly create: boolean;
  readonly purpose: PurposeName;
  /** Id of a backup in the journal. */
  readonly run?: string | undefined;
}

/**
 * The session to resume: its ticket (empty for a new session), and the number of its answers that have been
 * handled.
 */
export type SessionPlace = Pick<Head<'hello'>, 'ticket' | 'upTo'>;

const NO_SESSION: SessionPlace = Object.freeze({ ticket: Buffer.alloc(0), upTo: 0 });

/** Credentials of a caller that has no password and cannot prompt a user. */
export const NO_CREDENTIALS: Credentials = Object.freeze({
  password: undefined,
  ask: () => Promise.reject(new TardisError('PASSWORD_NEEDED', 'the server requires a password')),
});

const SOFTWARE = `tardis-pipeline ${programVersion()}`;

export class Login {
  /** The password that was used, if one was needed. */
  password: Buffer | undefined;
  private greeting: Buffer = Buffer.alloc(0);
  private readonly login: ClientLogin;
  /** The stretched password, once it was needed. */
  private secrets: StretchedPassword | undefined;
  /** The salt and the parameters of `secrets`. */
  private stretched: string | undefined;

  private constructor(
    private readonly system: System,
    private readonly target: LoginTarget,
    private readonly credentials: Credentials,
    /** Keys of a client that this greeting creates; undefined once it turns out that an earlier run has created it. */
    private made: MadeKeyRecord | undefined,
  ) {
    this.password = credentials.password;
    this.login = new ClientLogin(system.native.modPow);
  }

  /** Prepares a login. For a client that is to be created with a password, also makes its keys. */
  static async prepare(
    system: System,
    target: LoginTarget,
    credentials: Credentials,
  ): Promise<Login> {
    const { password, keyFile } = credentials;
    const isNew = target.create && password !== undefined;
    const { modPow } = system.native;
    if (target.create) {
      checkKeysOfNew(credentials);
      // This must be checked before the client is created.
      if (password === undefined) credentials.identity?.requirePlain('would be made in clear');
    } else if (credentials.fillsKeyFile !== true) {
      keyFile?.read(); // fails before the user is prompted
    }
    const made = isNew ? await firstRecord(modPow, password, credentials) : undefined;
    return new Login(system, target, credentials, made);
  }

  /**
   * Runs `greet`, which sends the greeting and waits for the welcome. If the keys of a new client are kept in a file,
   * they are first written to it. They are removed from it if the server did not create the client, or continues with a
   * client that has other keys. Throws KEY_FILE_… if the file cannot be used, and the errors of `greet`.
   */
  async keepingKeys(greet: () => Promise<Head<'welcome'>>): Promise<Head<'welcome'>> {
    const { keyFile } = this.credentials;
    const record = this.made?.record;
    if (record === undefined || keyFile === undefined) return greet();
    const welcome = await withNewKeys(keyFile, this.target.client, record, greet);
    const isOurs = welcome.keys.length > 0 && isOfSameKeys(parseKeyRecord(welcome.keys), record);
    if (!isOurs) await keyFile.drop(record.keysetId);
    return welcome;
  }

  /**
   * Returns a login for another connection, with the passwords and keys that this login has. `isMade` is true if the
   * client exists.
   */
  again({ isMade }: { readonly isMade: boolean }): Login {
    const { system, target, credentials, made } = this;
    const create = target.create && !isMade;
    const next = new Login(system, { ...target, create }, credentials, made);
    next.password = this.password;
    next.secrets = this.secrets;
    next.stretched = this.stretched;
    return next;
  }

  /** Sends the greeting. Must be called once, before anything else. */
  greet(connection: ClientLine, place: SessionPlace = NO_SESSION): void {
    const made = this.made?.record;
    const known =
      made === undefined || this.credentials.keyFile === undefined ? made : withoutKeys(made);
    const message = encodeMessage('hello', {
      protocol: PROTOCOL_VERSION,
      software: SOFTWARE,
      ...this.target,
      ...place,
      run: this.target.run ?? '',
      account: this.credentials.account ?? '',
      keys: known?.bytes ?? Buffer.alloc(0),
      code: (this.target.create ? this.credentials.code : undefined) ?? '',
    });
    this.greeting = message.head;
    connection.sendEncoded(message);
  }

  /**
   * Answers a challenge. Throws LOGIN_FAILED for a challenge that no honest server sends, PROTOCOL_VIOLATION for a
   * second one, and the errors of prompting the user.
   */
  async answer(connection: ClientLine, bytes: Buffer): Promise<void> {
    const { head } = decodeMessage('loginChallenge', bytes);
    if (this.login.isAwaitingProof) throw unexpected();
    this.password ??= await this.ask(connection);
    const { kind: channelKind, keyingMaterial } = connection.channel;
    const context = { channelKind, keyingMaterial, greeting: this.greeting, challenge: bytes };
    const proof = await this.login.answer(head, context, (salt, parameters) =>
      this.stretch(salt, parameters),
    );
    connection.send('loginProof', { ...proof });
  }

  private async ask(connection: ClientLine): Promise<Buffer> {
    const over = new AbortController();
    connection.closed.then(
      () => over.abort(),
      () => over.abort(),
    );
    return this.credentials.ask(over.signal);
  }

  /**
   * Checks the welcome. Throws PROTOCOL_VERSION if the versions differ, and SERVER_NOT_PROVEN if the server's proof is
   * wrong. If the server did not require the given password, throws PASSWORD_NOT_SET, or ENCRYPTION_GONE if this
   * machine remembers that the client encrypts.
   */
  confirm({ protocol, proof }: Pick<Head<'welcome'>, 'protocol' | 'proof'>): void {
    if (protocol !== PROTOCOL_VERSION) {
      throw new TardisError(
        'PROTOCOL_VERSION',
        `the server speaks protocol ${protocol}, this client ${PROTOCOL_VERSION}`,
      );
    }
    if (this.login.isAwaitingProof) {
      this.login.confirm(proof);
    } else if (this.password !== undefined) {
      this.credentials.identity?.requirePlain();
      throw new TardisError(
        'PASSWORD_NOT_SET',
        `the server did not require the password: the client "${this.target.client}" has none, or this is not your server`,
      );
    }
  }

  /**
   * Handles the error of a server that refused the greeting. A refusal without a request for a password means that the
   * client has no password there. Throws ENCRYPTION_GONE if this machine has a record that the client encrypts.
   */
  refused({ code }: TardisError): void {
    if (code === 'NOT_PERMITTED' && this.secrets === undefined) {
      this.credentials.identity?.requirePlain();
    }
  }

  /**
   * Returns the keys of the client, from the key record in the welcome; undefined if it does not encrypt. A client that
   * was to be created may have the keys of an earlier run, if the same password opens them. Throws:
   * - KEYS_DAMAGED for a malformed record;
   * - LOGIN_FAILED for a record that another password opens;
   * - NOT_AUTHENTIC if a client that was made with keys has none according to the server, or a login brought no record;
   * - CLIENT_EXISTS if an earlier run created the client with the other choice about encryption;
   * - ENCRYPTION_GONE, KEYS_CHANGED if the client is not the one that this machine remembers;
   * - STORE_ROLLED_BACK for a record that is older than one that this machine has seen;
   * - KEYS_ELSEWHERE, KEY_FILE_INVALID, KEY_FILE_DIFFERS if the keys are, or should be, in a file.
   */
  keyring({ keys }: Pick<Head<'welcome'>, 'keys'>): Keyring | undefined {
    const shown = keys.length === 0 ? undefined : parseKeyRecord(keys);
    const { made, secrets, target, credentials } = this;
    const isMade = made !== undefined && shown !== undefined && isOfSameKeys(shown, made.record);
    if (made !== undefined && !isMade && (shown === undefined || !target.create)) {
      throw new TardisError(
        'NOT_AUTHENTIC',
        'the server has other keys than the client was made with',
      );
    }
    if (shown === undefined && secrets !== undefined) throw withoutRecord(target.client);
    const { account, keyFile, fillsKeyFile } = credentials;
    const isFilled = fillsKeyFile === true && shown?.hasKeys === true;
    const record = wholeRecord(shown, isFilled ? undefined : keyFile, target.client);
    if (record === undefined) {
      credentials.identity?.rememberPlain();
      return undefined;
    }
    const wrapKey = secrets?.wrapKey;
    if (wrapKey === undefined) throw unexpected();
    const masters = openKeyRecord(record, wrapKey);
    if (made !== undefined && !isMade) {
      // The password opens the record, so the same user made it. But a server must not choose another kind of
      // client.
      if (record.isEncrypting !== made.record.isEncrypting) {
        const how = record.isEncrypting ? 'with encryption' : 'without encryption';
        const what = `the client "${target.client}" exists already, ${how}`;
        throw new TardisError('CLIENT_EXISTS', what);
      }
      this.made = undefined;
    }
    const trustsOlder = credentials.identity?.trustsChange;
    const failures = rememberKeyRecord(record, masters, { account, trustsOlder });
    for (const failure of failures) credentials.identity?.warn(failure);
    if (isMade) credentials.identity?.made(record);
    else credentials.identity?.meet(record, masters);
    if (!record.isEncrypting) return undefined;
    return keyringOf(this.system.native, record, masters);
  }

  /** Returns the stretched password. A client that was just made has its secrets already. */
  private async stretch(salt: Buffer, parameters: StretchParameters): Promise<StretchedPassword> {
    const { made } = this;
    const isMade = made?.record.salt.equals(salt) === true;
    const like = JSON.stringify([salt.toString('hex'), parameters]);
    if (this.secrets !== undefined && this.stretched === like) return this.secrets;
    const { keptStretch: kept = {} } = this.credentials;
    this.secrets = isMade ? made.secrets : kept.like === like ? kept.secrets : undefined;
    this.secrets ??= await stretchPassword(this.password!, salt, parameters);
    this.stretched = kept.like = like;
    kept.secrets = this.secrets;
    return this.secrets;
  }
}

/**
 * Makes the first key record of a new client. Throws LOGIN_FAILED if the password does not open the record to copy.
 */
function firstRecord(
  modPow: ModPow,
  password: Buffer,
  { copied, encrypts, stretch }: Credentials,
): Promise<MadeKeyRecord> {
  if (copied === undefined) return newKeyRecord(modPow, password, encrypts !== false, stretch);
  const parameters = stretch ?? copied.parameters;
  return newAccountRecord(modPow, copied, password, { password, parameters });
}

/**
 * Checks the options for a new client. With a key file, throws USAGE if the client is not to encrypt, and
 * PASSWORD_NEEDED if there is no password. Without a key file, does nothing.
 */
export function checkKeysOfNew({ password, encrypts, keyFile }: Omit<Credentials, 'ask'>): void {
  if (keyFile === undefined) return;
  if (encrypts === false) {
    throw usageError('a client that does not encrypt has no keys for a key file');
  }
  if (password !== undefined) return;
  throw new TardisError('PASSWORD_NEEDED', 'the keys in a key file are wrapped by a password');
}

/**
 * Returns the error for a server that required a password and omits the key record. Every password has a record,
 * so such a server hides the keys.
 */
function withoutRecord(client: string): TardisError {
  return new TardisError(
    'NOT_AUTHENTIC',
    `the server required the password of "${client}" and left its key record out`,
  );
}

function isOfSameKeys(one: KeyRecord, other: KeyRecord): boolean {
  return one.keysetId.equals(other.keysetId);
}

function unexpected(): TardisError {
  return protocolViolation('the server requires a login twice');
}
