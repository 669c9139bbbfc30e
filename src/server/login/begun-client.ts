/** Distinguishes a client whose first backup has not finished from a client that is in use. */
import { Catalog } from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { newestKeys, openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';

const FIRST_KEYS = 1;

/**
 * True if a client has no complete set, and only the key records of a new client: none, or with `hasPassword` the
 * first one. The run that created such a client was interrupted, and another run that creates it may continue. The
 * password still controls access. False for a client that cannot be read, since its contents are unknown.
 */
export function isBegunClient(
  system: System,
  place: Parameters<typeof openClientDirectory>[1],
  hasPassword: boolean,
): boolean {
  try {
    const { path, catalogPath } = openClientDirectory(system, place);
    const number = newestKeys(system, path)?.number ?? 0;
    if (number !== (hasPassword ? FIRST_KEYS : 0)) return false;
    return Catalog.reading(system, catalogPath, ({ sets }) =>
      sets.all().every(({ state }) => state === 'unfinished'),
    );
  } catch (error) {
    if (error instanceof TardisError) return false;
    throw error;
  }
}
