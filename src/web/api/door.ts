/**
 * The interface `Door`: authenticates requests over HTTP, and opens the histories that answer them. `tardisremote` and
 * `tardis-web` each implement it.
 */
import type { FastifyRequest } from 'fastify';
import type { ClientOverview, History, ObjectReader } from '../../history/index.js';
import type { RightName, SetNumber } from '../../model/index.js';
import type { System } from '../../system/index.js';
import type { OpenContents } from './content/open-contents.js';

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
  /** Reads records as they are stored. */
  readonly objects: ObjectReader;
  /** True if names and contents are encrypted, and this program lacks the keys. */
  readonly isSealed: boolean;
  /** True if the source of the history has ended, so that another lease must be used to repeat a failed request. */
  isOver?(): boolean;
  /** Releases the client; the history may then be closed. Must be called once. */
  release(): void;
}

/** A download that broke off. */
export interface BrokenDownload {
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
}

/** Facts that a page needs about the client that it shows. */
export interface AboutClient {
  /** The client; absent if the visitor has only one. */
  readonly client?: string;
  /** Acts that this program offers for it, such as `backup` and `change`. */
  readonly offers?: readonly string[];
  /** The directory of this machine at which the client is mounted unless another one is named. */
  readonly mountPoint?: string;
  /** The options by which a command finds the store, as words of a shell; absent where no command is near. */
  readonly storeWords?: string;
  /** Warnings about data in answers that nothing proves; absent if this program decrypts nothing. */
  readonly doubts?: readonly string[];
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
  /** True if this program restores files in place. */
  readonly canRestore: boolean;
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
