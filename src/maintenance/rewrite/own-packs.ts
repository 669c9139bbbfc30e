/**
 * Checks the old generation for files that do not belong to the client. They must be moved away first, since the old
 * generation is removed as a whole.
 */
import { TardisError } from '../../errors/index.js';
import { type ClientDirectory, mediumOf, PACKS_PREFIX, strangePacks } from '../../store/index.js';
import type { System } from '../../system/index.js';

/** Maximum number of files that an error names. */
const MOST_NAMED = 16;

/**
 * Throws PACKS_STRANGE if the directory of packs contains files that are not packs of the client. Does nothing for a
 * client in a bucket.
 */
export async function requireOwnPacks(system: System, directory: ClientDirectory): Promise<void> {
  if (directory.bucket !== undefined) return; // in a bucket only objects with names of the client's packs are removed
  const medium = mediumOf(system, directory);
  using backend = medium.records();
  const found: string[] = [];
  for (const { file } of await strangePacks(backend)) found.push(file);
  for (const { file } of medium.strays()) {
    if (file.startsWith(PACKS_PREFIX)) found.push(file);
  }
  if (found.length === 0) return;
  const more = found.length > MOST_NAMED ? `, and ${found.length - MOST_NAMED} more` : '';
  const names = `${found.slice(0, MOST_NAMED).join(', ')}${more}`;
  const what = `in ${directory.path} lie files that are no packs of "${directory.client}", and would be removed with the old generation`;
  throw new TardisError('PACKS_STRANGE', `${what}: ${names}`);
}
