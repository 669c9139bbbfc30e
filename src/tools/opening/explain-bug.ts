/** Explains errors of a tool that look like bugs but are due to a catalog with values that no writer stores. */
import { Catalog } from '../../store/catalog/index.js';
import type { Sourced } from '../../config/index.js';
import { openClientDirectory } from '../../store/index.js';
import { nodeSystem } from '../../system/index.js';
import { clientPlace, type PlaceSettings } from './local-store.js';
import { usesServer } from './history.js';

/**
 * Returns CATALOG_DAMAGED if a bug is explained by the client's catalog; otherwise the error itself. For a bug, reads
 * the whole catalog.
 */
export function explainBug(error: unknown, settings: Sourced): unknown {
  if (!isOfStore(settings) || usesServer(settings)) return error;
  const system = nodeSystem();
  try {
    const { catalogPath } = openClientDirectory(system, clientPlace(settings));
    return Catalog.explainedAt(system, catalogPath, error);
  } catch {
    return error; // the client cannot be opened, so nothing is explained
  }
}

/** True for the settings of a tool that reads a store on this machine. */
function isOfStore(settings: Sourced): settings is PlaceSettings & Sourced {
  const given: Sourced & Partial<PlaceSettings & { throughServer: unknown }> = settings;
  const hasPlace = given.database !== undefined && given.client !== undefined;
  return hasPlace && given.catalogFile !== undefined && given.throughServer === undefined;
}
