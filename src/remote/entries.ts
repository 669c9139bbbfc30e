/** The ways to log in over each connection of a peer: by the password of a client, or by the token of an account. */
import type { Keyring } from '../crypto/index.js';
import type { TardisError } from '../errors/index.js';
import { type ClientLine, type Head, Purpose } from '../transport/index.js';
import {
  type Credentials,
  greet,
  greetByToken,
  type Greeted,
  Login,
  NO_CREDENTIALS,
} from '../transport/login/index.js';
import type { System } from '../system/index.js';

export interface Entry {
  /** Logs in over a new connection. Throws the errors of the login. */
  enter(connection: ClientLine, greeted: Pick<Greeted, 'hear' | 'lost'>): Promise<void>;
  /**
   * Called with the reason why a first connection failed. Throws ENCRYPTION_GONE if the server has no password for a
   * client that encrypts, as this machine remembers.
   */
  refused(reason: TardisError): void;
}

export class PasswordEntry implements Entry {
  private isUsed = false;
  private welcome: Head<'welcome'> | undefined;

  private constructor(private login: Login) {}

  static async prepare(
    system: System,
    { client, credentials = NO_CREDENTIALS }: { client: string; credentials?: Credentials },
  ): Promise<PasswordEntry> {
    const target = { client, create: false, purpose: Purpose.read };
    return new PasswordEntry(await Login.prepare(system, target, credentials));
  }

  async enter(connection: ClientLine, greeted: Pick<Greeted, 'hear' | 'lost'>): Promise<void> {
    if (this.isUsed) this.login = this.login.again({ isMade: true });
    this.isUsed = true;
    this.welcome = await greet(connection, this.login, greeted);
  }

  refused(reason: TardisError): void {
    this.login.refused(reason);
  }

  /** The newest key record of the login, as the server has it; empty if there is none. */
  get record(): Buffer {
    return this.welcome!.keys;
  }

  /** Returns the keys of the client; undefined if it does not encrypt. Throws the errors of `Login.keyring`. */
  keyring(): Keyring | undefined {
    return this.login.keyring(this.welcome!);
  }
}

export class TokenEntry implements Entry {
  /** The server's answer to the token; set once the token was accepted. */
  taken!: Head<'tokenTaken'>;

  constructor(private readonly token: string) {}

  async enter(connection: ClientLine, greeted: Pick<Greeted, 'hear' | 'lost'>): Promise<void> {
    this.taken = await greetByToken(connection, this.token, greeted);
  }

  refused(): void {} // nothing is remembered of a token
}
