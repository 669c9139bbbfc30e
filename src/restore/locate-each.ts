/** Locates the contents of many files. A content that cannot be located does not prevent the restore of the others. */
import type { ContentLocation, History, RequestedContent } from '../history/index.js';
import { TardisError } from '../errors/index.js';

/**
 * Returns the locations of contents in their order. For a content without a valid location in the catalog, it returns a
 * CATALOG_DAMAGED error instead.
 */
export async function locateEach(
  history: History,
  contents: readonly RequestedContent[],
): Promise<(ContentLocation | TardisError)[]> {
  try {
    return await history.locate(contents);
  } catch (error) {
    requireDamage(error);
  }
  const all: (ContentLocation | TardisError)[] = [];
  for (const content of contents) {
    try {
      all.push((await history.locate([content]))[0]);
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
