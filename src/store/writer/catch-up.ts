/** Brings this machine's catalog of a client in a bucket up to date, for readers. */
import { asTardisError } from '../../errors/index.js';
import { type ClientDirectory, mediumOf } from '../index.js';
import type { System } from '../../system/index.js';
import { openParts } from './open-parts.js';

/**
 * Applies the commits that the catalog lacks, and makes the catalog if there is none. Writes nothing to the bucket. If
 * another process of this machine writes to the client, its catalog is as new as it gets. Throws CLIENT_BUSY if that
 * process has no catalog yet, and errors of a bucket.
 */
export async function catchUp(system: System, directory: ClientDirectory): Promise<void> {
  const isThere = (): boolean => system.files.status(directory.catalogPath) !== undefined;
  const lock = await mediumOf(system, directory)
    .claim({ asks: false })
    .catch((error: unknown) => {
      if (asTardisError(error).code === 'CLIENT_BUSY' && isThere()) return undefined;
      throw error;
    });
  if (lock === undefined) return;
  try {
    const { packs, backend, catalog } = await openParts(system, directory, { packBytes: 0 });
    packs.close();
    backend.close();
    catalog.close();
  } finally {
    lock.release();
  }
}
