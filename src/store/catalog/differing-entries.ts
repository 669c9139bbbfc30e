/**
 * Entries of a directory that differ between two sets. A row that is valid in both sets is skipped, unless it is a
 * subdirectory.
 */
import type { SetNumber } from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';
import { AS_OF, type ListingPage, SELECT_ROW } from './entries.js';
import { type CatalogEntry, ENTRY_ROW, toEntry } from './stored-entry.js';

/** A scanned part of a listing. */
interface ScannedEntries {
  readonly entries: CatalogEntry[];
  /** The last name that was scanned; undefined if the listing was scanned to its end. */
  readonly upTo: Buffer | undefined;
}

/** Number of versions scanned at once, which takes some milliseconds. */
const SCAN_VERSIONS = 16_384;
/** A name that sorts after every valid name. */
const NAME_MAX: Buffer = Buffer.alloc(4097, 0xff);

export class DifferingEntries {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      scanEnd: database.query(
        'SELECT name FROM entries WHERE directory_id = ? AND name > ? ORDER BY name LIMIT 1 OFFSET ?',
        'blob',
      ),
      page: database.query(
        `${SELECT_ROW} WHERE directory_id = ? AND name > ? AND name <= ? AND ${AS_OF}
             AND (child_id IS NOT NULL OR NOT (${AS_OF})) ORDER BY name LIMIT ?`,
        ENTRY_ROW,
      ),
    };
  }

  /**
   * Returns entries of a directory as of `set`, sorted by name: all subdirectories, and the other entries whose rows
   * are not valid as of `unlike`. If it returns `limit` entries, more of them may precede `upTo`.
   */
  list({ directory, set, after, limit }: ListingPage, unlike: SetNumber): ScannedEntries {
    const { scanEnd, page } = this.statements;
    const upTo = scanEnd.get(directory, after, SCAN_VERSIONS - 1);
    const end = upTo ?? NAME_MAX;
    const bounds = [directory, after, end, set, set, unlike, unlike, limit] as const;
    return { entries: page.all(...bounds).map(toEntry), upTo };
  }
}
