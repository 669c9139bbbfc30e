/** Small objects that belong to a whole store, and that its servers share. */
import type { System } from '../../system/index.js';
import type { BucketAccess } from './bucket-access.js';
import { DECOY_OBJECT } from '../layout/bucket-names.js';
import { sharedStore } from './shared-stores.js';

/** Returns the bytes of an object. Creates it with the bytes `fresh` if it does not exist. */
export async function sharedObject(
  system: System,
  access: BucketAccess,
  name: string,
  fresh: Buffer,
): Promise<Buffer> {
  const { store } = await sharedStore(system, access);
  // Read first: a server creates the object once, and starts often.
  const there = await store.readWhole(name, MAX_BYTES);
  if (there !== undefined) return there;
  if ((await store.putNew(name, fresh)) === 'created') return fresh;
  return (await store.readWhole(name, MAX_BYTES)) ?? fresh;
}

const MAX_BYTES: number = 64 << 10;

/** Throws if the store does not answer, or refuses the request. Takes one small request. */
export async function requireAnswer(system: System, access: BucketAccess): Promise<void> {
  const { store } = await sharedStore(system, access);
  await store.head(DECOY_OBJECT);
}
