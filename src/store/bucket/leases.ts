/**
 * Leases: each server of a bucket has an object with its address and the clients that it serves, which it overwrites
 * while it has sessions. They only avoid useless competition: a server that ignores them is stopped by the log. So a
 * lease may be missing, late, forged or damaged. Its age is measured by the clock of the store alone.
 */
import { asTardisError } from '../../errors/index.js';
import { jsonFields } from '../../model/index.js';
import { isHost, MAX_PORT, type System } from '../../system/index.js';
import { isClientName } from '../layout/client-name.js';
import type { ObjectStore } from '../objects/index.js';
import type { BucketAccess } from '../client/bucket-access.js';
import { LEASES_PREFIX, leaseObject, nodeOf } from '../layout/bucket-names.js';
import { sharedStore } from './shared-stores.js';

/** Age at which the lease of a server no longer counts. Many stores date to the second, so a greater age is a whole second more. */
export const LEASE_MS = 15_000;
/** Age after which a lease that was not renewed is removed. */
const FORGOTTEN_MS = 3_600_000;
/** Maximum number of servers whose leases are read. */
const MAX_NODES = 64;
/** Maximum number of objects that are listed to find leases. */
const MAX_LISTED = 1000;
const MAX_BYTES: number = 256 << 10;
const MAX_CLIENTS = 4096;
const VERSION = 1;

export interface Lease {
  /** Random name of the process: 32 hexadecimal digits. */
  readonly node: string;
  readonly host: string;
  readonly port: number;
  /** Clients that have a session at that server. */
  readonly clients: ReadonlySet<string>;
}

/** Creates or renews the lease of this process. It names at most `MAX_CLIENTS` clients. */
export async function writeLease(
  system: System,
  access: BucketAccess,
  { node, host, port, clients }: Lease,
): Promise<void> {
  const { store } = await sharedStore(system, access);
  const body = { version: VERSION, host, port, clients: [...clients].slice(0, MAX_CLIENTS) };
  await store.putOwn(leaseObject(node), Buffer.from(`${JSON.stringify(body)}\n`));
}

/** Removes the lease of this process. */
export async function removeLease(
  system: System,
  access: BucketAccess,
  node: string,
): Promise<void> {
  const { store } = await sharedStore(system, access);
  await store.remove([leaseObject(node)]);
}

/**
 * Returns the leases of other servers that are alive. Those that cannot be read or understood are left out. Throws
 * errors of a bucket.
 */
export async function liveLeases(
  system: System,
  access: BucketAccess,
  own: string | undefined,
): Promise<Lease[]> {
  const { store } = await sharedStore(system, access);
  const nodes: string[] = [];
  let listed = 0;
  for await (const name of store.list(LEASES_PREFIX)) {
    const node = nodeOf(name);
    if (node !== undefined && node !== own) nodes.push(node);
    listed += 1;
    if (nodes.length >= MAX_NODES || listed >= MAX_LISTED) break;
  }
  const found = await Promise.all(nodes.map((node) => leaseOf(store, node)));
  return found.filter((lease) => lease !== undefined);
}

async function leaseOf(store: ObjectStore, node: string): Promise<Lease | undefined> {
  const name = leaseObject(node);
  const head = await store.head(name);
  if (head === undefined) return undefined;
  const ageMs = head.storeNowMs - head.modifiedMs;
  if (ageMs > FORGOTTEN_MS) await store.remove([name]);
  // A lease of the future is not one that the store has dated.
  if (Math.abs(ageMs) >= LEASE_MS) return undefined;
  try {
    const bytes = await store.readWhole(name, MAX_BYTES);
    return bytes && parse(bytes, node);
  } catch (error) {
    const { code } = asTardisError(error);
    // Anybody with the access key may have put anything there.
    if (code === 'OBJECT_DAMAGED' || code === 'BUCKET_ANSWER_INVALID') return undefined;
    throw error;
  }
}

function parse(bytes: Buffer, node: string): Lease | undefined {
  const { version, host, port, clients } = jsonFields(bytes.toString('utf8'));
  if (version !== VERSION || typeof host !== 'string' || !isHost(host)) return undefined;
  if (!Number.isInteger(port) || Number(port) < 1 || Number(port) > MAX_PORT) return undefined;
  if (!Array.isArray(clients) || clients.length > MAX_CLIENTS) return undefined;
  const names = clients.filter((name): name is string => typeof name === 'string');
  return { node, host, port: Number(port), clients: new Set(names.filter(isClientName)) };
}
