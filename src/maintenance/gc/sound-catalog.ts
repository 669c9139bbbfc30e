/**
 * Checks a catalog before garbage collection or a rewrite relies on it. A damaged row could free data that a set
 * needs, or be copied into the rewritten store.
 */
import {
  Catalog,
  comparePages,
  hasNewestVersion,
  pagesDamaged,
} from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { type ClientDirectory, withClient } from '../../store/index.js';
import { yieldRegularly, type System } from '../../system/index.js';

/**
 * Maximum number of comparisons while the client's lock is held. In this time only an empty log of a reader can appear
 * or disappear.
 */
const MOST_COMPARISONS = 3;

/**
 * Throws CATALOG_DAMAGED unless every page of a client's catalog matches its checksum. If there are no page checksums,
 * SQLite's own check must find nothing wrong, and each value must have its type. The caller must hold the client's
 * lock. `breathe` is called between slices, and may throw. Throws CLIENT_BUSY if the catalog changes although the lock
 * is held.
 */
export async function requireSoundCatalog(
  system: System,
  directory: ClientDirectory,
  breathe: () => Promise<void> | undefined = yieldRegularly(),
): Promise<void> {
  for (let comparison = 0; comparison < MOST_COMPARISONS; comparison += 1) {
    if (await isFoundSound(system, directory, breathe)) return;
  }
  const what = `the catalog of the client "${directory.client}" changes while it is checked`;
  throw new TardisError('CLIENT_BUSY', what);
}

/**
 * Checks a catalog as `requireSoundCatalog` does, for a caller without the client's lock. If the catalog changes during
 * the comparison, the comparison shows nothing, and is repeated with the lock held. `breathe` is called while the lock
 * is held.
 */
export async function requireSoundUnlocked(
  system: System,
  directory: ClientDirectory,
  breathe: () => Promise<void> | undefined,
): Promise<void> {
  if (await isFoundSound(system, directory, yieldRegularly())) return;
  await withClient(system, directory, () => requireSoundCatalog(system, directory, breathe));
}

/**
 * Compares the catalog with its checksums; without checksums, checks its values. Returns false if it changes meanwhile.
 * Throws CATALOG_DAMAGED if it finds damage.
 */
async function isFoundSound(
  system: System,
  { catalogPath }: ClientDirectory,
  breathe: () => Promise<void> | undefined,
): Promise<boolean> {
  const verdict = await comparePages(system, catalogPath, true, breathe);
  if (verdict.kind === 'damaged') throw pagesDamaged(catalogPath, verdict.pages);
  if (verdict.kind === 'unknown') requireSoundValues(system, catalogPath);
  return verdict.kind !== 'changing';
}

/** Throws CATALOG_DAMAGED if SQLite finds damage, or a value has another type than its column. */
function requireSoundValues(system: System, catalogPath: string): void {
  if (!hasNewestVersion(system, catalogPath)) return;
  const found = Catalog.reading(system, catalogPath, (catalog) => {
    if (catalog.isDamaged()) return 'SQLite finds damage in it';
    const wrong = catalog.wrongColumns();
    return wrong.length === 0 ? undefined : `values that cannot be there, in ${wrong.join(', ')}`;
  });
  if (found !== undefined) throw new TardisError('CATALOG_DAMAGED', `${catalogPath}: ${found}`);
}

/** True if garbage collection has something to delete or to look for. */
export function hasGarbage(system: System, { catalogPath }: ClientDirectory): boolean {
  if (!hasNewestVersion(system, catalogPath)) return false; // opening for writing upgrades it
  return Catalog.reading(system, catalogPath, ({ state, gc }) => {
    const { versions, contents } = state.readWaste();
    return versions || contents || gc.isSomethingRemoved();
  });
}
