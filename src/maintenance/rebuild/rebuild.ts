/** Rebuilds a client's catalog outside of a session, with the client's lock held. */
import { asTardisError } from '../../errors/index.js';
import { type ClientDirectory, mediumOf } from '../../store/index.js';
import type { System } from '../../system/index.js';
import {
  type RebuildOptions,
  type RebuildReport,
  rebuildFromPacks,
} from '../../store/writer/index.js';
import { Reserve } from '../../store/writer/index.js';

/**
 * Rebuilds the catalog from the packs and checks every record. With `fromCopy`, it begins with the newest usable copy
 * of the catalog and checks only the records after it. Throws CLIENT_BUSY if the client is in use, STORE_NOT_WRITABLE
 * or DISK_FULL if the catalog cannot be written, and STORE_NEWER for a record of a newer format.
 */
export async function rebuildCatalog(
  system: System,
  directory: ClientDirectory,
  options: RebuildOptions = {},
): Promise<RebuildReport> {
  const medium = mediumOf(system, directory);
  using _lock = await medium.claim();
  try {
    medium.clearStaged();
    return await rebuildFromPacks(system, directory, options);
  } catch (error) {
    const explained = new Reserve(system, directory.path, {}).explain(error);
    throw asTardisError(explained, `rebuilding ${directory.catalogPath}`, 'writeStore');
  }
}
