/** Small objects that belong to a whole store, and that its servers share. */
import { systemCode } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import type { BucketAccess } from '../client/bucket-access.js';
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

/**
 * Throws if the store does not answer, or refuses the request. Takes one small request: a GET, since the answer to a
 * HEAD does not show whether the object or the whole bucket is missing.
 */
export async function requireAnswer(system: System, access: BucketAccess): Promise<void> {
  const { store } = await sharedStore(system, access);
  try {
    await store.read(DECOY_OBJECT, 0, Buffer.alloc(1), 1);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error; // another server may not have made the object yet
  }
}
