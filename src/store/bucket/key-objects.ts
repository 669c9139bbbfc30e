/**
 * Key records that a client in a bucket gets after it was made. Each is a new object, whose name has the number after
 * that of the record before it. The record itself may have a higher number. For example, a copy brings only the newest
 * record of a source that has changed its keys several times, or a record is put back without the records before it.
 */
import { asTardisError, TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import type { ClientDirectory } from '../client/client-directory.js';
import {
  addKeys,
  keyNumberIn,
  MAX_KEY_FILE_BYTES,
  removeOlderKeys,
  type StoredKeys,
} from '../client/key-files.js';
import type { ObjectStore } from '../objects/index.js';
import { clientKeys } from '../layout/bucket-names.js';
import { sharedStore } from './shared-stores.js';
import { NO_BYTES } from '../../model/index.js';

/** Maximum number of key records that a client can get after its first one. */
const MAX_LATER_KEYS = 10_000;
/** The largest number that a key record of a client may have. */
const MAX_NUMBER = 99_999_999;

/** The place of key records in a bucket. */
interface KeyPlace {
  readonly client: string;
  readonly generation: string | undefined;
}

/**
 * Yields the key records after the one with a number (0: all), in order. A record that is damaged in the bucket is
 * yielded with an empty buffer.
 */
export async function* keysBehind(
  store: ObjectStore,
  { client, generation }: KeyPlace,
  number: number,
): AsyncGenerator<StoredKeys & { readonly name: string }> {
  let place = number + 1;
  for (let read = 0; read < MAX_LATER_KEYS && place <= MAX_NUMBER; read += 1) {
    const name = clientKeys(client, place, generation);
    const bytes = await store.readWhole(name, MAX_KEY_FILE_BYTES).catch((error: unknown) => {
      if (asTardisError(error).code !== 'OBJECT_DAMAGED') throw error;
      return NO_BYTES; // a reader that opens it reports the damage
    });
    if (bytes === undefined) return;
    const own = keyNumberIn(bytes) ?? place;
    const isLater = own > place && own <= MAX_NUMBER;
    yield { number: isLater ? own : place, bytes, name };
    place = (isLater ? own : place) + 1;
  }
}

/**
 * Stores the next key record of a client, durably. `before` is the number of the newest record, 0 if there is none. In
 * a bucket, the earlier records stay there. The caller must hold the client's lock. Throws STORE_TAKEN if another
 * machine has changed the keys meanwhile, and the errors of `addKeys`.
 */
export async function storeKeys(
  system: System,
  directory: ClientDirectory,
  record: StoredKeys,
  before: number,
): Promise<void> {
  const { bucket, client, generation } = directory;
  if (bucket === undefined) {
    await addKeys(system, directory.path, record);
    return;
  }
  const shared = await sharedStore(system, bucket);
  await shared.admit();
  const name = clientKeys(client, before + 1, generation);
  if ((await shared.store.putNew(name, record.bytes)) !== 'created') {
    const what = `another machine has changed the keys of "${client}" since (${name})`;
    throw new TardisError('STORE_TAKEN', what, { object: name });
  }
  await addKeys(system, directory.path, record);
  await removeOlderKeys(system, directory.path, record.number);
}

/**
 * Puts a key record back that this machine knows and the bucket lacks. `before` is the number of the newest record in
 * the bucket, 0 if there is none; records between the two may stay missing. Throws KEYS_LOST if that is impossible:
 * another record is there, the access key may not write, or the record is invalid. Otherwise an older password would be
 * valid again.
 */
export async function putKeysBackInto(
  store: ObjectStore,
  { client, generation }: KeyPlace,
  { number, bytes }: StoredKeys,
  before: number,
): Promise<void> {
  const name = clientKeys(client, before + 1, generation);
  const isNext = keyNumberIn(bytes) === number && number > before && number <= MAX_NUMBER;
  try {
    if (isNext && (await store.putNew(name, bytes)) === 'created') return;
    if (isNext && (await store.readWhole(name, MAX_KEY_FILE_BYTES))?.equals(bytes) === true) return;
  } catch (error) {
    if (asTardisError(error).code !== 'BUCKET_DENIED') throw error;
  }
  const what = `the key record ${number} of "${client}", which this machine knows, is not in the bucket any more`;
  const how =
    'run it again with an access key that may write, or `sonic bucket --recover` if the bucket keeps versions';
  throw new TardisError('KEYS_LOST', `${what}; ${how}`, { object: name });
}
