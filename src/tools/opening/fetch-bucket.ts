/** Fetches the data of clients in a bucket that a reader needs. */
import {
  type BucketAccess,
  checkClientName,
  clientsIn,
  fetchClient,
  listClients,
  openClientDirectory,
} from '../../store/index.js';
import { CACHE_UMASK, catchUp } from '../../store/writer/index.js';
import { nodeSystem } from '../../system/index.js';

/** Fetches a client's small files. Throws errors of a bucket. */
export async function fetchFiles(access: BucketAccess, client: string): Promise<void> {
  checkClientName(client);
  await fetchClient(nodeSystem(CACHE_UMASK), access, client);
}

/** Fetches a client's small files, and brings its catalog up to date. Throws NO_SUCH_CLIENT, CLIENT_BUSY. */
export async function fetchHistory(
  access: BucketAccess,
  client: string,
  catalogFile: string | undefined,
): Promise<void> {
  const system = nodeSystem(CACHE_UMASK);
  await fetchFiles(access, client);
  const place = { store: access.cache, client };
  const options = catalogFile === undefined ? place : { ...place, catalogFile };
  await catchUp(system, openClientDirectory(system, options));
}

/** Fetches the histories of all clients of a store, and discards clients that the store no longer has. */
export async function fetchHistories(
  access: BucketAccess,
  catalogFile: string | undefined,
): Promise<void> {
  const system = nodeSystem(CACHE_UMASK);
  const there = await clientsIn(system, access);
  for (const client of there) await fetchHistory(access, client, catalogFile);
  const gone = listClients(system, access.cache).filter((client) => !there.includes(client));
  for (const client of gone) await fetchClient(system, access, client);
}
