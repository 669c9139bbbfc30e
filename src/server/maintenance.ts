/** Work on a client's store outside a session, with the client's lock held: rebuild, damage marks. */
import path from 'node:path';
import { applyDamage, Catalog, recoverCatalog, type RecoveryReport } from '../catalog/index.js';
import { asTardisError } from '../errors/index.js';
import {
  acquireClient,
  buildEvent,
  clearIncoming,
  type ClientDirectory,
  DirectoryBackend,
} from '../store/index.js';
import type { System } from '../system/index.js';
import { ClientStore, type StoreLimits } from './storage/client-store.js';

/**
 * Makes the catalog anew from the packs alone, checking every record, and puts it in the place of
 * the old one only when it is complete. No skip hash survives: the next backup compares everything.
 * Throws CLIENT_BUSY, STORE_NOT_WRITABLE, DISK_FULL, STORE_NEWER.
 */
export async function rebuildCatalog(
  system: System,
  directory: ClientDirectory,
  onProgress?: (pack: number, lastPack: number) => void,
): Promise<RecoveryReport> {
  const { files } = system;
  const lock = await acquireClient(system, directory);
  const fresh = `${directory.catalogPath}.new`;
  try {
    refuseNewer(system, directory.catalogPath);
    clearIncoming(system, directory);
    removeDatabase(system, fresh);
    const backend = new DirectoryBackend(directory.path, files);
    const catalog = Catalog.openForWriting(system, fresh);
    let report: RecoveryReport;
    try {
      report = await recoverCatalog(catalog, backend, {
        checkBodies: true,
        ...(onProgress === undefined ? {} : { onProgress }),
      });
      if (report.isMetadataLost) {
        catalog.begin();
        catalog.state.writeDoubtfulUpTo(report.counters.set);
        catalog.commit();
      }
    } catch (error) {
      catalog.abandon();
      throw error;
    } finally {
      backend.close();
    }
    catalog.close();
    removeDatabase(system, directory.catalogPath);
    removeSideFiles(system, fresh);
    files.rename(fresh, directory.catalogPath);
    await files.syncDirectory(path.dirname(fresh));
    return report;
  } catch (error) {
    throw asTardisError(error, `rebuilding ${directory.catalogPath}`);
  } finally {
    lock.release();
  }
}

/** A catalog that cannot be opened is no hindrance, one of a newer version is. */
function refuseNewer(system: System, catalogPath: string): void {
  try {
    Catalog.openForReading(system, catalogPath).close();
  } catch (error) {
    if (asTardisError(error).code === 'CATALOG_NEWER') throw error;
  }
}

function removeDatabase(system: System, catalogPath: string): void {
  removeSideFiles(system, catalogPath);
  if (system.files.status(catalogPath) !== undefined) system.files.unlink(catalogPath);
}

function removeSideFiles(system: System, catalogPath: string): void {
  for (const suffix of ['-wal', '-shm', '-journal']) {
    const file = catalogPath + suffix;
    if (system.files.status(file) !== undefined) system.files.unlink(file);
  }
}

/**
 * Notes that the bytes of some contents are damaged, so that the next backup sends them again if the
 * source has them. Durable when it returns.
 */
export async function markDamaged(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  digests: readonly Buffer[],
): Promise<void> {
  const store = await ClientStore.open(system, directory, limits);
  try {
    const event = { type: 'damage', digests } as const;
    store.packs.append(buildEvent(store.nextSequence(), event));
    for (const digest of digests) applyDamage(store.catalog, digest);
    await store.checkpoint();
    store.close();
  } catch (error) {
    store.abandon();
    throw error;
  }
}
