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

export interface Door {
  readonly program: 'tardisremote' | 'tardis-web';
  readonly system: System;
  /** True if this program restores files in place. */
  readonly canRestore: boolean;
  /** Acts that this program offers beside: `backup` and `change`. */
  readonly offers?: readonly string[];
  /** True if answers about complete sets may be kept by the requester. */
  readonly allowsCache: boolean;
  /**
   * Returns warnings about data in answers whose authenticity could not be proven; undefined if this program decrypts
   * nothing.
   */
  readonly doubts?: () => readonly string[];
  /** The options by which a command finds the store, as words of a shell; absent where no command is near. */
  readonly storeWords?: string;
  /** Authenticates a request. Throws NOT_LOGGED_IN, TOO_MANY_ATTEMPTS, NOT_PERMITTED. */
  authenticate(request: FastifyRequest): Promise<Visitor>;
  /** Age from which a client is late, by the configuration of this program; absent if that of the store is used. */
  readonly lateAfterMs?: number;
  /** Called if a download of a file fails, which its reader cannot explain to its user. */
  readonly onBroken?: (set: SetNumber, path: Buffer, error: unknown) => void;
  /** Returns the clients that a visitor may see. */
  clients(visitor: Visitor): Promise<readonly ClientOverview[]>;
  /**
   * Opens a client. The caller has checked the rights of the visitor. Throws NO_SUCH_CLIENT and errors of opening a
   * catalog.
   */
  open(client: string, visitor: Visitor): Promise<Lease>;
}
