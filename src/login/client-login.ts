/**
 * The client's side of greeting and login. With a password the server must prove itself, whatever its
 * certificate says: a server that lets us in without asking is refused. Without one, a server that asks
 * gets what `ask` brings from the user.
 */
import {
  ClientLogin,
  type KeyFile,
  type Keyring,
  keyringOf,
  type MadeKeyRecord,
  meetKeys,
  newKeyRecord,
  openKeyRecord,
  parseKeyRecord,
  type StretchedPassword,
  stretchPassword,
  type StretchParameters,
  wholeRecord,
  withNewKeys,
  withoutKeys,
} from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import type { System } from '../system/index.js';
import {
  type Connection,
  decodeMessage,
  encodeMessage,
  type Head,
  PROTOCOL_VERSION,
  type PurposeName,
} from '../transport/index.js';

/** How a user proves who he is. */
export interface Credentials {
  /** Undefined: none was given. */
  readonly password: Buffer | undefined;
  /**
   * Asks the user when the server wants a password and none was given, until `signal` says that nobody
   * waits for it any more. Throws PASSWORD_NEEDED.
   */
  ask(signal: AbortSignal): Promise<Buffer>;
  /** Whether a client that is made with a password encrypts (by default) or only asks for it. */
  readonly encrypts?: boolean;
  /** The sub-account to log in by; undefined: the client's owner does. */
  readonly account?: string | undefined;
  /** Where the wrapped keys are, or go when the client is made; undefined: in the store. */
  readonly keyFile?: KeyFile | undefined;
}

/** Which client, and whether it is to be made. */
export interface LoginTarget {
  readonly client: string;
  readonly create: boolean;
  readonly purpose: PurposeName;
}

/** The session to go on with: its ticket (empty: a new one), and how many of its answers have been handled. */
export type SessionPlace = Pick<Head<'hello'>, 'ticket' | 'upTo'>;

const NO_SESSION: SessionPlace = Object.freeze({ ticket: Buffer.alloc(0), upTo: 0 });

/** For who has no password and nobody to ask. */
export const NO_CREDENTIALS: Credentials = Object.freeze({
  password: undefined,
  ask: () => Promise.reject(new TardisError('PASSWORD_NEEDED', 'the server asks for a password')),
});

const SOFTWARE = 'tardis-pipeline 0.1.0';

export class Login {
  /** The password that was used, if there was need of one. */
  password: Buffer | undefined;
  private greeting: Buffer = Buffer.alloc(0);
  private readonly login: ClientLogin;
  /** Of the password, once it was asked for. */
  private secrets: StretchedPassword | undefined;
  /** By which salt and parameters they were made. */
  private stretched: string | undefined;
  private readonly system: System;
  private readonly target: LoginTarget;
  private readonly credentials: Credentials;
  /** Of a client that is made by this greeting. */
  private readonly made: MadeKeyRecord | undefined;

  private constructor(
    system: System,
    target: LoginTarget,
    credentials: Credentials,
    made: MadeKeyRecord | undefined,
  ) {
    this.target = target;
    this.credentials = credentials;
    this.made = made;
    this.password = credentials.password;
    this.system = system;
    this.login = new ClientLogin(system.native.modPow);
  }

  /** Prepares a login; for a client that is to be made with a password, its keys too. */
  static async prepare(
    system: System,
    target: LoginTarget,
    credentials: Credentials,
  ): Promise<Login> {
    const { password, keyFile } = credentials;
    const isNew = target.create && password !== undefined;
    const { modPow } = system.native;
    const encrypts = credentials.encrypts !== false;
    if (target.create) checkKeysOfNew(credentials);
    else keyFile?.read(); // before anybody is asked for anything
    const made = isNew ? await newKeyRecord(modPow, password, encrypts) : undefined;
    return new Login(system, target, credentials, made);
  }

  /**
   * Lets `greet` greet, and wait for the welcome. Keys of a new client that are for a file are in it before,
   * and taken out again when the server says that it made none. Throws KEY_FILE_*, and what `greet` throws.
   */
  async keepingKeys<T>(greet: () => Promise<T>): Promise<T> {
    const { keyFile } = this.credentials;
    const record = this.made?.record;
    if (record === undefined || keyFile === undefined) return greet();
    return withNewKeys(keyFile, this.target.client, record, greet);
  }

  /** Whether its greeting makes the client. */
  get makesClient(): boolean {
    return this.target.create;
  }

  /** For another connection, with what is known by now. `isMade`: the client is there. */
  again({ isMade }: { readonly isMade: boolean }): Login {
    const { system, target, credentials, made } = this;
    const create = target.create && !isMade;
    const next = new Login(system, { ...target, create }, credentials, made);
    next.password = this.password;
    next.secrets = this.secrets;
    next.stretched = this.stretched;
    return next;
  }

  /** Sends the greeting. Call once, first of all. */
  greet(connection: Connection, place: SessionPlace = NO_SESSION): void {
    const made = this.made?.record;
    const told =
      made === undefined || this.credentials.keyFile === undefined ? made : withoutKeys(made);
    const message = encodeMessage('hello', {
      protocol: PROTOCOL_VERSION,
      software: SOFTWARE,
      ...this.target,
      ...place,
      account: this.credentials.account ?? '',
      keys: told?.bytes ?? Buffer.alloc(0),
    });
    this.greeting = message.head;
    connection.sendEncoded(message);
  }

  /** Answers a challenge. Throws LOGIN_FAILED, and what asking the user throws. */
  async answer(connection: Connection, bytes: Buffer): Promise<void> {
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

  private async ask(connection: Connection): Promise<Buffer> {
    const over = new AbortController();
    connection.closed.then(
      () => over.abort(),
      () => over.abort(),
    );
    return this.credentials.ask(over.signal);
  }

  /** Checks what the welcome says. Throws PROTOCOL_VERSION, PASSWORD_NOT_SET, SERVER_NOT_PROVEN. */
  confirm({ protocol, proof }: Head<'welcome'>): void {
    if (protocol !== PROTOCOL_VERSION) {
      throw new TardisError(
        'PROTOCOL_VERSION',
        `the server speaks protocol ${protocol}, this client ${PROTOCOL_VERSION}`,
      );
    }
    if (this.login.isAwaitingProof) {
      this.login.confirm(proof);
    } else if (this.password !== undefined) {
      throw new TardisError(
        'PASSWORD_NOT_SET',
        `the server did not ask for the password: the client "${this.target.client}" has none, or this is not your server`,
      );
    }
  }

  /**
   * What the client encrypts with, by the key record that came with the welcome; undefined: it does not.
   * Throws KEYS_DAMAGED, LOGIN_FAILED for a record that another password opens, NOT_AUTHENTIC when a client
   * that was made to encrypt is said not to, STORE_ROLLED_BACK for an older record than this machine has seen;
   * KEYS_ELSEWHERE, KEY_FILE_INVALID, KEY_FILE_DIFFERS where the keys are, or should be, in a file.
   */
  keyring({ keys }: Pick<Head<'welcome'>, 'keys'>): Keyring | undefined {
    const shown = keys.length === 0 ? undefined : parseKeyRecord(keys);
    const { made, secrets, target, credentials } = this;
    if (made !== undefined && shown?.keysetId.equals(made.record.keysetId) !== true) {
      throw new TardisError(
        'NOT_AUTHENTIC',
        'the server has other keys than the client was made with',
      );
    }
    const record = wholeRecord(shown, credentials.keyFile, target.client);
    if (record === undefined) return undefined;
    const wrapKey = secrets?.wrapKey;
    if (wrapKey === undefined) throw unexpected();
    const masters = openKeyRecord(record, wrapKey);
    meetKeys(record, masters, credentials.account);
    if (!record.isEncrypting) return undefined;
    return keyringOf(this.system.native, record, masters);
  }

  /** A client that is just made has its secrets already. */
  private async stretch(salt: Buffer, parameters: StretchParameters): Promise<StretchedPassword> {
    const { made } = this;
    const isMade = made?.record.salt.equals(salt) === true;
    const like = JSON.stringify([salt.toString('hex'), parameters]);
    if (this.secrets !== undefined && this.stretched === like) return this.secrets;
    this.secrets = isMade ? made.secrets : await stretchPassword(this.password!, salt, parameters);
    this.stretched = like;
    return this.secrets;
  }
}

/** Throws USAGE, PASSWORD_NEEDED when a client is made with a key file, and there are no keys for it. */
export function checkKeysOfNew({ password, encrypts, keyFile }: Omit<Credentials, 'ask'>): void {
  if (keyFile === undefined) return;
  if (encrypts === false) {
    throw new TardisError('USAGE', 'a client that does not encrypt has no keys for a key file');
  }
  if (password !== undefined) return;
  throw new TardisError('PASSWORD_NEEDED', 'the keys in a key file are wrapped by a password');
}

function unexpected(): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', 'the server asks for a login twice');
}
