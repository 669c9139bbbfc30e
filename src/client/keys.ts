/** Runs a session that creates a client or changes its key record, without a backup. */
import { parseKeyRecord, type KeyRecord } from '../crypto/index.js';
import { protocolViolation, type TardisError } from '../errors/index.js';
import type { Address, System } from '../system/index.js';
import {
  connect,
  type Connection,
  type Head,
  linkWith,
  type MessageName,
  Purpose,
  type TlsOptions,
} from '../transport/index.js';
import { type Credentials, greet, Login } from '../transport/login/index.js';

export interface KeysRequest {
  readonly address: Address;
  /** TLS options; undefined if TLS is not used. */
  readonly tls?: TlsOptions | undefined;
  readonly client: string;
  readonly create: boolean;
  readonly credentials: Credentials;
  readonly timeoutMs: number;
}

/** The key record that the client had when the session began. */
interface KeysResult {
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
    const session = new KeysSession(connection, login);
    const { keys } = await login.keepingKeys(() => session.greet());
    login.keyring({ keys }); // compares the client with what this machine remembers
    const record = keys.length === 0 ? undefined : parseKeyRecord(keys);
    await change({ record, password: login.password }, (next) => session.store(next));
    connection.leave();
    await connection.closed;
  } catch (error) {
    connection.fail(error);
    await connection.closed;
    throw error;
  }
}

class KeysSession {
  private stored: ((error?: TardisError) => void) | undefined;
  private failure: TardisError | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly login: Login,
  ) {}

  greet(): Promise<Head<'welcome'>> {
    return greet(this.connection, this.login, {
      welcome: ({ ticket }) => this.connection.send('acknowledge', { ticket, upTo: 0 }),
      hear: (name) => this.hear(name),
      lost: (reason) => {
        this.failure = reason;
        this.stored?.(reason);
      },
    });
  }

  store({ bytes }: KeyRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      this.stored = (error) => (error === undefined ? resolve() : reject(error));
      if (this.failure === undefined) this.connection.send('setKeys', { keys: bytes });
      else reject(this.failure);
    });
  }

  private hear(name: MessageName): void {
    switch (name) {
      case 'keysSet':
        this.stored?.();
        return;
      case 'received':
      case 'durable':
        return; // acknowledge what was sent, which here is one message with its own answer
      default:
        throw protocolViolation(`the server sent "${name}" while keys were being set`);
    }
  }
}
