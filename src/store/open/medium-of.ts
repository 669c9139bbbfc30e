/**
 * Opens the medium of a client, whichever kind it is. A `ClientDirectory` is plain data, and each thread opens its own
 * medium from it.
 */
import type { System } from '../../system/index.js';
import { BucketMedium } from '../bucket/bucket-medium.js';
import type { ClientDirectory } from '../client/client-directory.js';
import { DirectoryMedium } from '../client/directory-medium.js';
import type { ClientMedium } from '../client/medium.js';

export function mediumOf(system: System, directory: ClientDirectory): ClientMedium {
  const { bucket } = directory;
  return bucket === undefined
    ? new DirectoryMedium(system, directory)
    : new BucketMedium(system, directory, bucket);
}

/** Runs `work` while the client is claimed. Throws CLIENT_BUSY if the client is in use, and any error of `work`. */
export async function withClient<T>(
  system: System,
  directory: ClientDirectory,
  work: () => Promise<T>,
): Promise<T> {
  using _lock = await mediumOf(system, directory).claim();
  return await work();
}
