/**
 * Handles logins by SRP over HTTP. A login takes two requests over one connection, since its proof is bound to keying
 * material of that TLS connection.
 */
import { randomUUID } from 'node:crypto';
import { protocolViolation, TardisError } from '../../errors/index.js';
import type { LoginService, PendingLogin } from '../../server/index.js';
import { addressGroup, CountsByKey } from '../../system/index.js';
import {
  type Channel,
  decodeMessage,
  encodeMessage,
  type Head,
  peekMessage,
  PROTOCOL_VERSION,
  Purpose,
} from '../../transport/index.js';

/**
 * Maximum number of logins that wait for their proof, in total. `MAX_PENDING_OF_ONE` is the maximum for one address.
 */
const MAX_PENDING = 256;
const MAX_PENDING_OF_ONE = 32;
const PENDING_MS = 60_000;

interface Pending {
  readonly login: PendingLogin;
  readonly hello: Head<'hello'>;
  readonly greeting: Buffer;
  readonly challenge: Buffer;
  readonly address: string;
  readonly timer: NodeJS.Timeout;
}

/** A login whose proof was right. */
export interface Proven {
  readonly client: string;
  readonly account: string;
  /** The key record whose password was proven; it was the newest when the login began. */
  readonly keys: Buffer;
  /** The server's proof. */
  readonly proof: Buffer;
}

export class Logins {
  private readonly pending = new Map<string, Pending>();
  /** Number of logins by address whose challenge is being made. */
  private readonly beginning = new CountsByKey();

  constructor(private readonly service: LoginService) {}

  /**
   * Begins a login. `greeting` is the message `hello`. Returns the message `loginChallenge`, and an id that the proof
   * must name. Throws PROTOCOL_VIOLATION, PROTOCOL_VERSION, NOT_PERMITTED for a client without a password,
   * TOO_MANY_REQUESTS, and the errors of the login service.
   */
  async begin(greeting: Buffer, channel: Channel): Promise<{ id: string; challenge: Buffer }> {
    const hello = helloIn(greeting);
    const address = addressGroup(channel.peerAddress || undefined);
    this.requireRoom(address);
    this.beginning.add(address, 1);
    try {
      const login = await this.service.begin(hello, channel);
      if (login === undefined) {
        throw new TardisError(
          'NOT_PERMITTED',
          'over a network, reading needs a password; the client has none: `sonic setpass` on the machine of the store',
        );
      }
      const { head: challenge } = encodeMessage('loginChallenge', login.challenge);
      const id = randomUUID();
      const timer = setTimeout(() => this.drop(id), PENDING_MS);
      timer.unref();
      this.pending.set(id, { login, hello, greeting, challenge, address, timer });
      return { id, challenge };
    } finally {
      this.beginning.add(address, -1);
    }
  }

  /** Checks a proof, which is the message `loginProof`. Throws LOGIN_FAILED, PROTOCOL_VIOLATION, SESSION_GONE. */
  async prove(id: string, message: Buffer, channel: Channel): Promise<Proven> {
    const pending = this.pending.get(id);
    if (pending === undefined) {
      throw new TardisError('SESSION_GONE', 'there is no such login: it took too long, or is over');
    }
    this.pending.delete(id);
    clearTimeout(pending.timer);
    const { login, hello, greeting, challenge } = pending;
    try {
      requireName(message, 'loginProof');
      const { head } = decodeMessage('loginProof', message);
      const { kind: channelKind, keyingMaterial } = channel;
      const proof = await login.check(head, { channelKind, keyingMaterial, greeting, challenge });
      return { client: hello.client, account: hello.account, keys: login.keys, proof };
    } finally {
      login.abandon(); // counts as failed if the proof was not checked
    }
  }

  close(): void {
    for (const id of this.pending.keys()) this.drop(id);
  }

  /** Throws TOO_MANY_REQUESTS if too many logins are under way. */
  private requireRoom(address: string): void {
    const { pending, beginning } = this;
    const own = [...pending.values()].filter((one) => one.address === address).length;
    if (
      own + beginning.of(address) >= MAX_PENDING_OF_ONE ||
      pending.size + beginning.all >= MAX_PENDING
    ) {
      throw new TardisError('TOO_MANY_REQUESTS', 'too many logins are under way', { seconds: 10 });
    }
  }

  private drop(id: string): void {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    clearTimeout(pending?.timer);
    pending?.login.abandon();
  }
}

function helloIn(greeting: Buffer): Head<'hello'> {
  requireName(greeting, 'hello');
  const { head } = decodeMessage('hello', greeting);
  if (head.protocol !== PROTOCOL_VERSION) {
    throw new TardisError(
      'PROTOCOL_VERSION',
      `the client speaks protocol ${head.protocol}, this server ${PROTOCOL_VERSION}`,
    );
  }
  if (head.create || head.code !== '' || head.purpose !== Purpose.read || head.ticket.length > 0) {
    throw protocolViolation('a login over HTTP is for reading only');
  }
  return head;
}

function requireName(message: Buffer, name: 'hello' | 'loginProof'): void {
  if (peekMessage(message, 'to-server') === name) return;
  throw protocolViolation(`the message is no "${name}"`);
}
