/**
 * Checks a catalog before data that it calls unneeded is deleted. Damage in a row would free data that a set
 * needs, or be copied into a rewritten store.
 */
import {
  Catalog,
  comparePages,
  hasNewestVersion,
  pagesDamaged,
} from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';

/**
 * Throws CATALOG_DAMAGED unless every page of a client's catalog matches its checksum. If there are no page
 * checksums, SQLite's own check must find nothing wrong, and each value must have its type.
 */
export async function requireSoundCatalog(
  system: System,
  { catalogPath }: ClientDirectory,
): Promise<void> {
  const verdict = await comparePages(system, catalogPath, true);
  if (verdict.kind === 'damaged') throw pagesDamaged(catalogPath, verdict.pages);
  if (verdict.kind !== 'unknown' || !hasNewestVersion(system, catalogPath)) return;
  const found = Catalog.reading(system, catalogPath, (catalog) => {
    if (catalog.isDamaged()) return 'SQLite finds damage in it';
    const wrong = catalog.wrongColumns();
    return wrong.length === 0 ? undefined : `values that cannot be there, in ${wrong.join(', ')}`;
  });
  if (found !== undefined) throw new TardisError('CATALOG_DAMAGED', `${catalogPath}: ${found}`);
}

/** True if garbage collection has something to delete or to look for. */
export function hasGarbage(system: System, { catalogPath }: ClientDirectory): boolean {
  if (!hasNewestVersion(system, catalogPath)) return false; // opening it upgrades it; the next run looks again
  return Catalog.reading(system, catalogPath, ({ state, gc }) => {
    const { versions, contents } = state.readWaste();
    return versions || contents || gc.isSomethingRemoved();
  });
}
