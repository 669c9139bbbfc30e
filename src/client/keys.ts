/** Runs a session that creates a client or changes its key record, without a backup. */
import { parseKeyRecord, type KeyRecord } from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import type { Address, System } from '../system/index.js';
import {
  connect,
  type Connection,
  decodeMessage,
  type Head,
  linkWith,
  type MessageName,
  Purpose,
  type TlsWish,
} from '../transport/index.js';
import { type Credentials, Login } from '../transport/login/index.js';

export interface KeysRequest {
  readonly address: Address;
  /** Undefined if TLS is not used. */
  readonly tls?: TlsWish | undefined;
  readonly client: string;
  readonly create: boolean;
  readonly credentials: Credentials;
  readonly timeoutMs: number;
}

/** The key record that the client had when the session began. */
export interface KeysResult {
  readonly record: KeyRecord | undefined;
  /** Password that opened the record, if it has one. */
  readonly password: Buffer | undefined;
}

/**
 * Logs in and calls `change` with the current key record; `change` may store another one. Throws the errors
 * of connecting and of the login, and the server's error if it rejects the new record.
 */
export async function withKeys(
  system: System,
  request: KeysRequest,
  change: (found: KeysResult, store: (record: KeyRecord) => Promise<void>) => Promise<void>,
): Promise<void> {
  const { client, create, credentials } = request;
  const login = await Login.prepare(
    system,
    { client, create, purpose: Purpose.backup },
    credentials,
  );
  const link = linkWith(request.timeoutMs);
  const connection = await connect(system, request.address, link, request.tls);
  try {
    let session: KeysSession | undefined;
    const { keys } = await login.keepingKeys(() => {
      session = new KeysSession(connection, login);
      return session.welcomed;
    });
    login.keyring({ keys }); // compares the client with what this machine remembers
    const record = keys.length === 0 ? undefined : parseKeyRecord(keys);
    await change({ record, password: login.password }, (next) => session!.store(next));
    connection.leave();
    await connection.closed;
  } catch (error) {
    connection.fail(error);
    await connection.closed;
    throw error;
  }
}

class KeysSession {
  readonly welcomed: Promise<Head<'welcome'>>;
  private readonly stored: Promise<void>;
  private settleWelcomed!: (head: Head<'welcome'>) => void;
  private settleStored!: () => void;
  private readonly connection: Connection;
  private readonly login: Login;

  constructor(connection: Connection, login: Login) {
    this.connection = connection;
    this.login = login;
    const over = connection.closed.then((reason): never => {
      throw reason ?? new TardisError('CONNECTION_LOST', 'the server closed the connection');
    });
    const welcome = new Promise<Head<'welcome'>>((resolve) => void (this.settleWelcomed = resolve));
    const stored = new Promise<void>((resolve) => void (this.settleStored = resolve));
    this.welcomed = Promise.race([welcome, over]);
    this.stored = Promise.race([stored, over]);
    this.stored.catch(() => undefined); // reported by `store`, if it is called
    connection.onMessage((name, bytes) => this.receive(name, bytes));
    login.greet(connection);
  }

  store({ bytes }: KeyRecord): Promise<void> {
    this.connection.send('setKeys', { keys: bytes });
    return this.stored;
  }

  private receive(name: MessageName, bytes: Buffer): void {
    switch (name) {
      case 'loginChallenge':
        this.login
          .answer(this.connection, bytes)
          .catch((error: unknown) => this.connection.fail(error));
        return;
      case 'welcome': {
        const { head } = decodeMessage(name, bytes);
        this.login.confirm(head);
        this.connection.send('acknowledge', { ticket: head.ticket, upTo: 0 });
        this.settleWelcomed(head);
        return;
      }
      case 'keysSet':
        this.settleStored();
        return;
      case 'received':
      case 'durable':
        return; // acknowledge what was sent, which here is one message with its own answer
      default:
        throw new TardisError(
          'PROTOCOL_VIOLATION',
          `the server sent "${name}" while keys were being set`,
        );
    }
  }
}
