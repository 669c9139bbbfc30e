/** Machines that change and read the accounts of a client in an object store. */
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import {
  type BucketAccess,
  createClientDirectory,
  fetchAccounts,
  fetchClient,
  useBucket,
} from '../../src/store/index.js';
import type { ObjectStore } from '../../src/store/objects/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { accessTo } from './bucket-machines.js';
import { scratchInMemory } from './scratch.js';

const ADDRESS = 'http://localhost/accounts';

/** A machine of a store, with a cache of its own. */
export interface AccountMachine {
  readonly access: BucketAccess;
  /** Directory of the client `me` in its cache. */
  readonly directory: string;
  /** Brings the client and its accounts here. */
  look(): Promise<void>;
}

export function accountMachine(t: ExecutionContext, store: ObjectStore): AccountMachine {
  const cache = scratchInMemory(t);
  const access = { ...accessTo(store, cache), address: ADDRESS };
  useBucket(access);
  const look = async (): Promise<void> => {
    await fetchClient(nodeSystem(), access, 'me');
    await fetchAccounts(nodeSystem(), access, 'me');
  };
  return { access, directory: path.join(cache, 'me'), look };
}

/** Creates the client `me` on a machine. */
export async function createMe({ access }: AccountMachine, keys?: Buffer): Promise<void> {
  const place = { store: access.cache, client: 'me', catalogFile: 'tardis.db' };
  await createClientDirectory(nodeSystem(), { ...place, ...(keys && { keys }) });
}
