/** Reads small objects, whose sizes have limits. */
import { asTardisError, TardisError } from '../../errors/index.js';
import type { ObjectStore } from '../objects/index.js';

/**
 * Returns all bytes of an object; undefined if it does not exist. Throws OBJECT_DAMAGED, also if the object has more than
 * `maxBytes`, which no writer of it makes, and errors of a bucket.
 */
export async function readSmall(
  store: ObjectStore,
  name: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  try {
    return await store.readWhole(name, maxBytes);
  } catch (error) {
    if (asTardisError(error).code !== 'BUCKET_ANSWER_INVALID') throw error;
    // An answer that is none of a bucket, such as a login page, has this code, too.
    const sizeBytes = (await store.head(name))?.sizeBytes ?? 0;
    if (sizeBytes <= maxBytes) throw error;
    const what = `${name} has ${sizeBytes} bytes, more than ${maxBytes}`;
    throw new TardisError('OBJECT_DAMAGED', what, { unreadable: name }, error);
  }
}
