/** Locates the contents of many files. A content that cannot be located does not prevent the restore of the others. */
import type { History, HistoryEntry, ContentLocation } from '../history/index.js';
import { TardisError } from '../errors/index.js';

/**
 * Returns the locations of contents in the order of the files. For a file without a valid location in the catalog, it
 * returns a CATALOG_DAMAGED error instead.
 */
export async function locateEach(
  history: History,
  files: readonly { readonly entry: HistoryEntry }[],
): Promise<(ContentLocation | TardisError)[]> {
  try {
    return await history.locate(files.map(({ entry }) => entry));
  } catch (error) {
    requireDamage(error);
  }
  const all: (ContentLocation | TardisError)[] = [];
  for (const { entry } of files) {
    try {
      all.push((await history.locate([entry]))[0]);
    } catch (error) {
      all.push(requireDamage(error));
    }
  }
  return all;
}

/** Returns a CATALOG_DAMAGED error; throws any other error. */
function requireDamage(error: unknown): TardisError {
  if (error instanceof TardisError && error.code === 'CATALOG_DAMAGED') return error;
  throw error;
}
