/** Brings this machine's catalog of a client in a bucket up to date, for readers. */
import { asTardisError } from '../../errors/index.js';
import { type ClientDirectory, logPack, mediumOf, packName } from '../index.js';
import type { System } from '../../system/index.js';
import { Catalog } from '../catalog/index.js';
import { openParts } from './open-parts.js';

/**
 * Applies the commits that the catalog lacks, and makes the catalog if there is none. Writes nothing to the bucket. If
 * another process of this machine writes to the client, that process keeps the catalog up to date. Throws CLIENT_BUSY
 * if it has made no catalog yet, and errors of a bucket.
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

/** True if a bucket may have commits that this machine's catalog lacks. Takes one request. Throws errors of a bucket. */
export async function isBehind(system: System, directory: ClientDirectory): Promise<boolean> {
  const last = lastCommit(system, directory);
  if (last === undefined) return true;
  const records = mediumOf(system, directory).records();
  try {
    return (await records.size(packName(logPack(last + 1)))) !== undefined;
  } finally {
    records.close();
  }
}

/** Returns the number of the last commit in the catalog; undefined if there is no usable catalog. */
function lastCommit(system: System, { catalogPath }: ClientDirectory): number | undefined {
  if (system.files.status(catalogPath) === undefined) return undefined;
  try {
    return Catalog.reading(
      system,
      catalogPath,
      ({ state }) => state.readCommitPoint().commit || undefined,
    );
  } catch (error) {
    if (asTardisError(error).code !== 'CATALOG_DAMAGED') throw error;
    return undefined; // it is made again
  }
}
