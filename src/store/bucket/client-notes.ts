/** Small objects of a client. Only a session that has the client's claim (log-writer.ts) replaces them. */
import type { System } from '../../system/index.js';
import type { BucketAccess } from '../client/bucket-access.js';
import { clientNote } from '../layout/bucket-names.js';
import { sharedStore } from './shared-stores.js';

/** Returns the bytes of a note; undefined if there is none. */
export async function readClientNote(
  system: System,
  access: BucketAccess,
  {
    client,
    name,
    maxBytes,
  }: { readonly client: string; readonly name: string; readonly maxBytes: number },
): Promise<Buffer | undefined> {
  const { store } = await sharedStore(system, access);
  return store.readWhole(clientNote(client, name), maxBytes);
}

/** Creates or replaces a note, durable when it resolves. The caller must hold the client's claim. */
export async function writeClientNote(
  system: System,
  access: BucketAccess,
  {
    client,
    name,
    bytes,
  }: { readonly client: string; readonly name: string; readonly bytes: Buffer },
): Promise<void> {
  const { store } = await sharedStore(system, access);
  await store.putOwn(clientNote(client, name), bytes);
}
