/** A server's access to clients in a bucket, which other servers and machines change too. */
import os from 'node:os';
import { BUCKET_ERRORS, TardisError } from '../errors/index.js';
import {
  type Connection,
  type InnerListener,
  type ListenPlace,
  PROTOCOL_VERSION,
  Purpose,
  type PurposeName,
} from '../transport/index.js';
import type { TcpPlace } from '../system/index.js';
import type { Leases } from './bucket-servers.js';
import type { SessionServices } from './session-services.js';

export interface SharedClients {
  /** Fetches the small files of a client to this machine, before a login. The rate of requests is bounded. */
  look(client: string): Promise<void>;
  /** Fetches the accounts of a client to this machine, before a login. The rate of requests is bounded. */
  lookAccounts(client: string): Promise<void>;
  /**
   * Fetches the accounts of a client to this machine, for a peer that is logged in, unless they were fetched in the
   * last two seconds.
   */
  fetchAccounts(client: string): Promise<void>;
  /**
   * Fetches the files of accounts that own clients to this machine, unless they were fetched in the last two seconds.
   */
  fetchAccountFiles(): Promise<void>;
  /** Returns the number of bytes of a client in the bucket, with all that others have committed. */
  usedBytes(client: string): Promise<number>;
  /** Discards the remembered size of a client, so that the next `usedBytes` reads the bucket. */
  forgetUsed(client: string): void;
  /**
   * Fetches the small files of a client to this machine after its login, at once: the keys may have changed meanwhile.
   */
  fetchNow(client: string): Promise<void>;
  /** Updates the files of a client and its catalog on this machine. */
  refresh(client: string): Promise<void>;
  /** Rejects if the bucket does not answer. */
  requireBucket(): Promise<void>;
  /**
   * True if another machine has written to a client since this machine updated it. Rejects with errors of a bucket.
   */
  isBehind(client: string): Promise<boolean>;
  /** Leases of the servers, if other servers may use the bucket too; otherwise undefined. */
  readonly leases?: Leases | undefined;
  /** Place at which clients reach this server; by default the name of the machine, and the port. */
  readonly place?: Partial<TcpPlace> | undefined;
}

/** Returns the place at which clients reach this server; undefined for a socket of this machine, or a pipe. */
export function placeOf(
  address: ListenPlace | InnerListener,
  given: Partial<TcpPlace> = {},
): TcpPlace | undefined {
  if (address.kind !== 'tcp') return undefined;
  const { host: listens, port: listened } = address;
  const isAny = ['', '::', '0.0.0.0'].includes(listens);
  const { host = isAny ? os.hostname() : listens, port = listened } = given;
  return { host, port };
}

/**
 * Updates the files and the catalog of a client that has logged in. If a session of the client runs here, the catalog
 * is already the newest.
 */
export async function bringUpToDate(
  { shared, sessionOf }: Pick<SessionServices, 'shared' | 'sessionOf'>,
  { client, account, purpose }: LoggedIn,
): Promise<void> {
  if (purpose !== Purpose.read || sessionOf(client) !== undefined) await shared?.fetchNow(client);
  else await shared?.refresh(client);
  if (account !== '') await shared?.fetchAccounts(client);
}

/** Fetches the files that a login needs to this machine, before the peer is logged in. */
export async function lookAt(
  shared: Pick<SharedClients, 'look' | 'lookAccounts'>,
  client: string,
  account: string,
): Promise<void> {
  await shared.look(client);
  if (account !== '') await shared.lookAccounts(client);
}

interface LoggedIn {
  readonly client: string;
  /** Name of the sub-account; empty for the owner. */
  readonly account: string;
  readonly purpose: PurposeName;
}

/**
 * Redirects a client that has logged in, if another server has a session of the client. Readers are not redirected,
 * since any server can read. Returns false if the client may stay.
 */
export async function sendElsewhere(
  { nodes, sessionOf }: Pick<SessionServices, 'nodes' | 'sessionOf'>,
  connection: Connection,
  { client, purpose }: { readonly client: string; readonly purpose: PurposeName },
  proof: Buffer,
): Promise<boolean> {
  const isFree = purpose === Purpose.read || sessionOf(client) !== undefined;
  const owner = isFree ? undefined : await nodes?.ownerOf(client);
  if (owner === undefined) return false;
  connection.send('elsewhere', { protocol: PROTOCOL_VERSION, ...owner, proof });
  connection.close();
  return true;
}

/**
 * Returns an error without the details that errors of a bucket contain: the bucket, its endpoint, and the place of its
 * access key.
 */
export function withoutBucket(failure: TardisError): TardisError {
  if (!Object.hasOwn(BUCKET_ERRORS, failure.code)) return failure;
  return failure.code === 'OBJECT_DAMAGED'
    ? new TardisError('OBJECT_DAMAGED', 'an object in the bucket of the server is damaged')
    : new TardisError('STORE_AWAY', 'the server cannot use its store now');
}

/**
 * Returns the error that is sent to a client. If another server has taken over the client's session, or another
 * machine has rewritten the client, it is SESSION_GONE, so that the client may begin again.
 */
export function errorForClient(failure: TardisError): TardisError {
  if (failure.code === 'CLIENT_MOVED') return new TardisError('SESSION_GONE', failure.message);
  if (failure.code === 'STORE_TAKEN') {
    return new TardisError('SESSION_GONE', 'another server or machine goes on with this client');
  }
  return withoutBucket(failure);
}
