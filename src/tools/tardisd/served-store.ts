/** The store of a server: its directory, which may be created, or its parts of a bucket. */
import fs from 'node:fs';
import path from 'node:path';
import type { Settings } from '../../config/index.js';
import { failedTo, systemCode } from '../../errors/index.js';
import { displayName } from '../../model/index.js';
import type { SharedClients } from '../../server/index.js';
import type { ClientsOfBucket } from '../../web/remote/index.js';
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
 * Creates the store directory if it is missing and its parent exists, but not for a server of one session. The
 * directory belongs to the user that runs the server. Returns true if it was created. Throws STORE_NOT_WRITABLE.
 */
export async function makeStoreDirectory(
  { files }: System,
  settings: Settings<'tardisd'>,
): Promise<boolean> {
  const bytes = absolutePath(settings.database);
  const store = byteText(bytes);
  const parent = path.dirname(store);
  if (settings.single || isThere(store) || !isThere(parent)) return false;
  try {
    await makeFor(settings, bytes, () => files.makeDirectory(store));
    giveTo(settings, bytes);
    await files.syncDirectory(parent);
  } catch (error) {
    throw failedTo(`create ${displayName(Buffer.from(store))}`, error, 'writeStore');
  }
  return true;
}

/** True if the path exists; also for a dangling link, and for a path that cannot be examined. */
function isThere(file: string): boolean {
  try {
    return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return systemCode(error) !== 'ENOTDIR';
  }
}
