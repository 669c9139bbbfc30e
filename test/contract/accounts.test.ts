/** Accounts of a client in a directory, in an object store, and in a bucket over HTTP keep the same promises. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createClientDirectory } from '../../src/store/index.js';
import type { ObjectStore } from '../../src/store/objects/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { accountMachine, createMe } from '../helpers/bucket-accounts.js';
import { openTestBucket } from '../helpers/buckets.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { MemoryObjectStore } from '../support/memory-object-store.js';
import { type AccountsPlace, accountsSuite } from './accounts.suite.js';

async function inDirectory(t: ExecutionContext): Promise<AccountsPlace> {
  const store = scratchInMemory(t);
  await createClientDirectory(nodeSystem(), { store, client: 'me' });
  const writer = path.join(store, 'me');
  return { writer, reader: async () => writer };
}

async function inStore(t: ExecutionContext, store: ObjectStore): Promise<AccountsPlace> {
  const [one, two] = [accountMachine(t, store), accountMachine(t, store)];
  await createMe(one);
  const reader = async (): Promise<string> => {
    await two.look();
    return two.directory;
  };
  return { writer: one.directory, reader };
}

accountsSuite(test, 'directory', inDirectory);
accountsSuite(test, 'memory', (t) => inStore(t, new MemoryObjectStore()));
accountsSuite(test, 'bucket', async (t) => inStore(t, (await openTestBucket(t)).store));
