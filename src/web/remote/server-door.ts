/**
 * The `Door` of a program in front of a `tardisd`. It passes on the token of each requester, and the server decides
 * which data the requester may read. Each token has its own connection, which is reused for a short time. So an answer
 * can never reach another requester. This program has no keys.
 */
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { RecordDecoder } from '../../contents/index.js';
import type { ClientOverview, History } from '../../history/index.js';
import type { TokenHistory } from '../../remote/index.js';
import { asTardisError } from '../../errors/index.js';
import { parseToken, tokenHash } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { addressOf, type Door, HistoryPool, type Lease, type Visitor } from '../api/index.js';
import { away, Reach, type ReachedPlace } from './reach.js';
import { notLoggedIn, TokenAttempts, tokenOf } from './token-attempts.js';

/** Maximum number of connections to the server, and the time after its last use at which a connection is closed. */
const LINES = Object.freeze({ most: 40, idleMs: 15_000 });
/**
 * Maximum number of connections that are tried for one question, since a server may end a connection at the moment of
 * its use.
 */
const MOST_TRIES = 2;

interface ServerDoorOptions {
  readonly system: System;
  readonly decoder: RecordDecoder;
  readonly server: ReachedPlace;
  readonly allowsCache: boolean;
  readonly log: Logger;
}

/** A requester whose token the server has accepted. */
interface Bearer {
  readonly client: string;
  readonly token: string;
  readonly address: string;
}

export class ServerDoor implements Door {
  readonly program = 'tardisremote';
  readonly system: System;
  readonly allowsCache: boolean;
  private readonly pool: HistoryPool;
  private readonly attempts: TokenAttempts;
  private readonly reach: Reach;
  private readonly bearers = new WeakMap<Visitor, Bearer>();
  private readonly granted = new WeakMap<History, TokenHistory>();
  /** Histories whose connection has ended. */
  private readonly ended = new WeakSet<History>();

  constructor({ system, decoder, server, allowsCache, log }: ServerDoorOptions) {
    this.system = system;
    this.allowsCache = allowsCache;
    this.pool = new HistoryPool(system, decoder, LINES);
    this.attempts = new TokenAttempts(system.clock);
    this.reach = new Reach(system, server, log);
  }

  /** Number of connections to the server. */
  get openCount(): number {
    return this.pool.size;
  }

  async authenticate(request: FastifyRequest): Promise<Visitor> {
    const token = tokenOf(request);
    const address = addressOf(request);
    const visitor = await this.attempts.check(token, address, () => this.visitorOf(token, address));
    if (visitor === undefined) throw notLoggedIn('the token is wrong, or was removed');
    return visitor;
  }

  /**
   * Returns the visitor with a token; undefined if the server refuses the token. Throws SERVER_UNREACHABLE, and other
   * errors of the login.
   */
  private async visitorOf(token: string, address: string): Promise<Visitor | undefined> {
    const parts = parseToken(token);
    if (parts === undefined) return undefined;
    const { client, account } = parts;
    const bearer = { client, token, address };
    try {
      return await this.reading(bearer, async ({ rights }) => {
        const visitor: Visitor = { client, account, rights };
        this.bearers.set(visitor, bearer);
        return visitor;
      });
    } catch (error) {
      if (asTardisError(error).code === 'NOT_LOGGED_IN') return undefined;
      throw error;
    }
  }

  async clients(visitor: Visitor): Promise<readonly ClientOverview[]> {
    const { rights } = visitor;
    return this.reading(this.bearerOf(visitor), async (granted) => {
      if (rights.has('admin')) return granted.clients();
      const own = await granted.history.reports.ownState?.();
      return own === undefined ? [] : [own];
    });
  }

  open(_client: string, visitor: Visitor): Promise<Lease> {
    return this.lease(this.bearerOf(visitor)); // rights were checked before, and this is the visitor's only client
  }

  close(): Promise<void> {
    return this.pool.close();
  }

  private bearerOf(visitor: Visitor): Bearer {
    const bearer = this.bearers.get(visitor);
    if (bearer === undefined) throw notLoggedIn('the login is not of this server');
    return bearer;
  }

  /** Runs `use` with a history. Repeats it over another connection if the first connection ends during the call. */
  private async reading<T>(bearer: Bearer, use: (granted: TokenHistory) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      const lease = await this.lease(bearer);
      try {
        return await use(this.granted.get(lease.history)!);
      } catch (error) {
        if (tries === MOST_TRIES || !this.ended.has(lease.history)) throw error;
      } finally {
        lease.release();
      }
    }
  }

  private async lease(bearer: Bearer): Promise<Lease> {
    const key = tokenHash(bearer.token).toString('hex');
    for (let tries = 1; ; tries += 1) {
      const lease = await this.pool.lease(key, () => this.connect(key, bearer));
      const isOver = (): boolean => this.ended.has(lease.history);
      if (!isOver()) return { ...lease, isOver };
      this.pool.retire(key, lease.history); // the connection ended before its history was in the pool
      lease.release();
      if (tries === MOST_TRIES) throw away();
    }
  }

  private async connect(key: string, bearer: Bearer): Promise<TokenHistory> {
    const line: { history?: History; isOver: boolean } = { isOver: false };
    const granted = await this.reach.open(bearer, () => {
      line.isOver = true;
      if (line.history === undefined) return;
      this.ended.add(line.history);
      this.pool.retire(key, line.history);
    });
    line.history = granted.history;
    if (line.isOver) this.ended.add(granted.history);
    this.granted.set(granted.history, granted);
    return granted;
  }
}
