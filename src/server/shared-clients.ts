/** Clients in a bucket, which other servers and machines change too, as a server needs them. */
import os from 'node:os';
import { BUCKET_ERRORS, TardisError } from '../errors/index.js';
import {
  type Connection,
  PROTOCOL_VERSION,
  Purpose,
  type PurposeName,
} from '../transport/index.js';
import type { Address, TcpPlace } from '../system/index.js';
import type { Leases } from './nodes.js';
import type { SessionServices } from './session-services.js';

export interface SharedClients {
  /** Brings the small files of a client here, before a login. The rate of requests is bounded. */
  look(client: string): Promise<void>;
  /** Brings the accounts of a client here, before a login. The rate of requests is bounded. */
  lookAccounts(client: string): Promise<void>;
  /** Brings the accounts of a client here, for somebody who is logged in, unless that was done in the last two seconds. */
  fetchAccounts(client: string): Promise<void>;
  /** Brings the files of accounts that own clients here, unless that was done in the last two seconds. */
  fetchAccountFiles(): Promise<void>;
  /** Returns the bytes of a client in the bucket, with all that others have committed. */
  usedBytes(client: string): Promise<number>;
  /** Lets the next `usedBytes` look again. */
  forgetUsed(client: string): void;
  /** Brings the small files of a client here after its login, at once: the keys may have changed meanwhile. */
  fetchNow(client: string): Promise<void>;
  /** Brings a client and its catalog up to date. */
  refresh(client: string): Promise<void>;
  /** Rejects if the bucket does not answer now. */
  requireBucket(): Promise<void>;
  /** True if another machine has written to a client since this one had it. Rejects with errors of a bucket. */
  isBehind(client: string): Promise<boolean>;
  /** Given if other servers may use the bucket too. */
  readonly leases?: Leases | undefined;
  /** Where clients reach this server; by default the name of the machine, and the port. */
  readonly place?: Partial<TcpPlace> | undefined;
}

/** Returns the place at which clients reach this server; undefined for a socket of this machine. */
export function placeOf(address: Address, given: Partial<TcpPlace> = {}): TcpPlace | undefined {
  if (address.kind === 'unix') return undefined;
  const { host: listens, port: listened } = address;
  const isAny = ['', '::', '0.0.0.0'].includes(listens);
  const { host = isAny ? os.hostname() : listens, port = listened } = given;
  return { host, port };
}

/** Brings a client that has logged in to this machine. A session that runs here has its newest catalog already. */
export async function bringUpToDate(
  { shared, sessionOf }: Pick<SessionServices, 'shared' | 'sessionOf'>,
  { client, account, purpose }: LoggedIn,
): Promise<void> {
  if (purpose !== Purpose.read || sessionOf(client) !== undefined) await shared?.fetchNow(client);
  else await shared?.refresh(client);
  if (account !== '') await shared?.fetchAccounts(client);
}

/** Brings here what a login needs before anybody is logged in. */
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
  /** Empty for the owner. */
  readonly account: string;
  readonly purpose: PurposeName;
}

/**
 * Sends a client that has logged in to the server that has a session of it, if that is another one. Only backups and
 * changes of keys need that session's server: any server reads. Returns false if the client may stay.
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

/** Returns an error without what those of a bucket name: the bucket, its endpoint, and the place of its access key. */
export function withoutBucket(failure: TardisError): TardisError {
  if (!Object.hasOwn(BUCKET_ERRORS, failure.code)) return failure;
  return failure.code === 'OBJECT_DAMAGED'
    ? new TardisError('OBJECT_DAMAGED', 'an object in the bucket of the server is damaged')
    : new TardisError('STORE_AWAY', 'the server cannot use its store now');
}

/**
 * Returns the error that is sent to a client. A client whose session another server has taken over may begin again, and
 * one that another machine has rewritten, too.
 */
export function errorForClient(failure: TardisError): TardisError {
  if (failure.code === 'CLIENT_MOVED') return new TardisError('SESSION_GONE', failure.message);
  if (failure.code === 'STORE_TAKEN') {
    return new TardisError('SESSION_GONE', 'another server or machine goes on with this client');
  }
  return withoutBucket(failure);
}
