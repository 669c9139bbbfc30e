/**
 * Upgrades the catalog of a client on request. Without a request, a session upgrades it, unless AllowSchemaUpgrades is
 * off.
 */
import { catalogVersion, newestVersion } from '../catalog/index.js';
import type { ClientDirectory } from '../index.js';
import type { System } from '../../system/index.js';
import { type StoreLimits, StoreWriter } from './store-writer.js';

export interface CatalogUpgrade {
  /** The version before the upgrade; 0 if the client has no catalog yet. */
  readonly from: number;
  /** The newest version. */
  readonly to: number;
  /** True if the catalog was upgraded. */
  readonly isDone: boolean;
}

/**
 * Upgrades the catalog of a client to the newest version; with `rehearse` it only returns what it would do. Throws
 * CATALOG_NEWER, CATALOG_DAMAGED, CLIENT_BUSY and the errors of `StoreWriter.open`.
 */
export async function upgradeCatalog(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  rehearse: boolean,
): Promise<CatalogUpgrade> {
  const from = catalogVersion(system, directory.catalogPath);
  const to = newestVersion(system);
  if (rehearse || from === 0 || from === to) return { from, to, isDone: false };
  const store = await StoreWriter.open(system, directory, limits);
  try {
    store.close();
  } catch (error) {
    throw store.closeAfterFailure(error);
  }
  return { from, to, isDone: true };
}
