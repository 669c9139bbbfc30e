/** The store of a server: its directory, which it may create, or its parts of a bucket. */
import type { Settings } from '../../config/index.js';
import { failedTo, usageError } from '../../errors/index.js';
import { displayName } from '../../model/index.js';
import type { SharedClients } from '../../server/index.js';
import type { ClientsOfBucket } from '../../web/remote/index.js';
import { isStore, makeStore, markStore, STORE_MARK } from '../../store/index.js';
import { absolutePath, byteText, type System } from '../../system/index.js';
import { giveTo, makeFor } from './server-process.js';

/** A store in a bucket, as a server uses it. */
export interface ServedBucket {
  /** The directory on this machine that is the cache of the store. */
  readonly database: Buffer;
  /**
   * Access to the bucket's clients. Undefined for the server of `tardis --local`, whose session fetches the data that
   * it needs.
   */
  readonly shared: (SharedClients & ClientsOfBucket) | undefined;
  close(): Promise<void>;
}

/**
 * Creates the store of a server if `--create` requests it. A store that is not there otherwise is an error, since its
 * disk may not be mounted. The store belongs to the user that runs the server. Returns true if it was created. Throws
 * USAGE if there is a store, and NO_SUCH_STORE, PLACE_TAKEN or STORE_NOT_WRITABLE if none can be created.
 */
export async function createStore(
  { files }: System,
  settings: Settings<'tardisd'>,
  isInBucket: boolean,
): Promise<boolean> {
  if (!settings.create) return false;
  if (isInBucket) throw usageError('a store in a bucket needs no --create');
  const bytes = absolutePath(settings.database);
  const store = byteText(bytes);
  if (isStore(files, store)) {
    throw usageError(`there is a store at ${store} already: omit --create`);
  }
  const mark = Buffer.concat([bytes, Buffer.from(`/${STORE_MARK}`)]);
  try {
    if (await makeFor(settings, bytes, () => makeStore(files, store))) giveTo(settings, bytes);
    await makeFor(settings, mark, () => markStore(files, store));
    giveTo(settings, mark);
  } catch (error) {
    throw failedTo(`create ${displayName(bytes)}`, error, 'writeStore');
  }
  return true;
}
