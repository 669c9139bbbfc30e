/** The object stores that are open in this thread, by their URLs. Clients of one store share its connections. */
import { TardisError } from '../../errors/index.js';
import type { ObjectStore } from '../objects/index.js';

const shared = new Map<string, Promise<ObjectStore>>();

/** Opens a store for this thread, unless it is open already. */
export function shareStore(url: string, open: () => Promise<ObjectStore>): Promise<ObjectStore> {
  const store = shared.get(url) ?? open();
  shared.set(url, store);
  return store;
}

/** Returns a store that was opened. */
export async function sharedStore(url: string): Promise<ObjectStore> {
  const store = shared.get(url);
  if (store === undefined) throw new TardisError('INTERNAL', `${url} is not open in this thread`);
  return store;
}
