/**
 * The interface `Door`: authenticates requests over HTTP, and opens the histories that answer them. `tardisremote` and
 * `tardis-web` each implement it.
 */
import type { FastifyRequest } from 'fastify';
import { TardisError } from '../../errors/index.js';
import type { ClientOverview, History } from '../../history/index.js';
import type { RightName, SetNumber } from '../../model/index.js';
import type { System } from '../../system/index.js';
import type { OpenContents } from './content/open-contents.js';
import type { RouteRow } from './route-row.js';
import type { Session } from './schemas.js';

/** A requester that has logged in. */
export interface Visitor {
  /** The only client that may be opened; undefined for all. */
  readonly client: string | undefined;
  /** The sub-account; empty for the client's owner. */
  readonly account: string;
  readonly rights: ReadonlySet<RightName>;
}

/** A client that is open for one request. */
export interface Lease {
  readonly history: History;
  readonly contents: OpenContents;
  /** True if names and contents are encrypted, and this program lacks the keys. */
  readonly isSealed: boolean;
  /** True if the source of the history has ended, so that another lease must be used to repeat a failed request. */
  isOver?(): boolean;
  /** Releases the client; the history may then be closed. Must be called once. */
  release(): void;
}

/** A download that broke off. */
interface BrokenDownload {
  readonly client: string;
  readonly set: SetNumber;
  readonly path: Buffer;
}

/** A client in a list. */
export interface ListedClient extends ClientOverview {
  /** The store or the server of the client; absent in the first one. */
  readonly place?: string;
  /** True if it is not open, and its state cannot be known without that. */
  readonly isClosed?: boolean;
  /** Time at which its facts were seen; absent if none are known, or if they are those of now. */
  readonly seenAtMs?: number | undefined;
}

const MAX_HEADER_CHARS = 1024;

/**
 * Returns the token in the header `Authorization`. It is the token of Bearer, or the password of Basic for programs
 * that support only that. Returns undefined if there is none.
 */
export function tokenIn(header = ''): string | undefined {
  if (header.length > MAX_HEADER_CHARS) return undefined;
  const [, scheme = '', value = ''] = /^(Bearer|Basic) +([\w.~+/=-]+)$/i.exec(header) ?? [];
  if (scheme.toLowerCase() === 'bearer') return value;
  const [, token] = /^[^:]*:(.*)$/s.exec(Buffer.from(value, 'base64').toString('latin1')) ?? [];
  return token;
}

/** Facts that a page needs about the client that it shows. */
export type AboutClient = Pick<
  Session,
  'client' | 'offers' | 'mountPoint' | 'storeWords' | 'doubts'
>;

/**
 * Throws NOT_PERMITTED if a visitor lacks a right, or may not open the client that is requested. The text is the same for
 * a client that does not exist.
 */
export function requireRight(
  { client, rights }: Visitor,
  right: RouteRow['right'],
  requested = client,
): void {
  if (client !== undefined && client !== requested) {
    throw new TardisError('NOT_PERMITTED', 'the login is of another client');
  }
  if (right === 'none' || right === 'login' || rights.has(right)) return;
  throw new TardisError('NOT_PERMITTED', `the login does not have the right "${right}"`);
}

/** True if the requester may keep answers about complete sets: its files must not get what this program decrypts. */
export function mayBeKept(
  { allowsCache }: Pick<Door, 'allowsCache'>,
  { history }: Pick<Lease, 'history'>,
): boolean {
  return allowsCache && history.contentKeys === undefined;
}

export interface Door {
  readonly program: 'tardisremote' | 'tardis-web';
  readonly system: System;
  /** True if answers about complete sets may be kept by the requester, unless this program decrypts them. */
  readonly allowsCache: boolean;
  /** Returns facts about a client; undefined stands for the first one. Throws NO_SUCH_CLIENT. */
  about?(client: string | undefined): AboutClient;
  /** Authenticates a request. Throws NOT_LOGGED_IN, TOO_MANY_ATTEMPTS, NOT_PERMITTED. */
  authenticate(request: FastifyRequest): Promise<Visitor>;
  /** Age from which a client is late, by the configuration of this program; absent if that of the store is used. */
  readonly lateAfterMs?: number;
  /** Called if a download of a file fails, which its reader cannot explain to its user. */
  readonly onBroken?: (download: BrokenDownload, error: unknown) => void;
  /** Returns the clients that a visitor may see. */
  clients(visitor: Visitor): Promise<readonly ListedClient[]>;
  /**
   * Opens a client. The caller has checked the rights of the visitor. Throws NO_SUCH_CLIENT and errors of opening a
   * catalog.
   */
  open(client: string, visitor: Visitor): Promise<Lease>;
}
