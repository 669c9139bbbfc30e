/** Placeholder for an entry that is damaged or not authentic. */
import type { TardisError } from '../../errors/index.js';
import { blankMetadata } from '../../model/index.js';
import { type CatalogEntry, entryOfParts } from './stored-entry.js';

/** Returns an entry of which only the name is meaningful, with the reason in `damage`. */
export function damagedEntry(
  { directory, firstSet, lastSet, name }: CatalogEntry,
  damage: TardisError,
  shownName: Buffer = name,
): CatalogEntry {
  const entry: { -readonly [F in keyof CatalogEntry]: CatalogEntry[F] } = entryOfParts({
    directory,
    name: shownName,
    firstSet,
    lastSet,
    flags: 0,
    contentId: undefined,
    childId: undefined,
    metadata: blankMetadata(),
    digest: undefined,
  });
  entry.damage = damage;
  return entry;
}
