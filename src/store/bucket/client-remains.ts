/**
 * Looks for objects of a client whose own object is missing from its bucket. Such a client was damaged: another one with
 * its name would continue a history that is not its own.
 */
import { TardisError } from '../../errors/index.js';
import type { ObjectStore } from '../objects/index.js';
import { clientObject, clientPrefix } from '../layout/bucket-names.js';

/**
 * Throws FORMAT_DAMAGED if the bucket lacks the main object of a client (`clientObject`), and has others of the client.
 */
export async function requireNoRemains(store: ObjectStore, client: string): Promise<void> {
  const object = clientObject(client);
  for await (const name of store.list(clientPrefix(client))) {
    if (name === object || (await store.head(object)) !== undefined) return;
    const what = `the object ${object} is missing from the bucket, which has others of "${client}"`;
    throw new TardisError('FORMAT_DAMAGED', `${what}, such as ${name}`, { object });
  }
}
