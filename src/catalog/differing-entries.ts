/** What of a directory differs between two sets: an entry that is valid in both is one row, and is passed over. */
import type { SqlDatabase } from '../system/index.js';
import {
  AS_OF,
  type CatalogEntry,
  type EntryColumns,
  type ListingPage,
  SELECT_ROW,
  toEntry,
} from './entries.js';

/** A piece of a listing that was looked through. */
export interface ScannedEntries {
  readonly entries: CatalogEntry[];
  /** Behind this name nothing was looked at yet; undefined: it was all. */
  readonly upTo: Buffer | undefined;
}

/** Versions that are looked through at once: some milliseconds. */
const SCAN_VERSIONS = 16_384;
/** Behind every name there can be. */
const NAME_MAX: Buffer = Buffer.alloc(4097, 0xff);

export class DifferingEntries {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      scanEnd: database
        .prepare(
          'SELECT name FROM entries WHERE directory_id = ? AND name > ? ORDER BY name LIMIT 1 OFFSET ?',
        )
        .pluck(),
      page: database
        .prepare(
          `${SELECT_ROW} WHERE directory_id = ? AND name > ? AND name <= ? AND ${AS_OF}
             AND (child_id IS NOT NULL OR NOT (${AS_OF})) ORDER BY name LIMIT ?`,
        )
        .raw(),
    };
  }

  /** Directories as of `set`, and what is not the same row as of `unlike`, by name. */
  list({ directory, set, after, limit }: ListingPage, unlike: number): ScannedEntries {
    const { scanEnd, page } = this.statements;
    const upTo = scanEnd.get(directory, after, SCAN_VERSIONS - 1) as Buffer | undefined;
    const end = upTo ?? NAME_MAX;
    const bounds = [directory, after, end, set, set, unlike, unlike, limit] as const;
    return { entries: (page.all(...bounds) as EntryColumns[]).map(toEntry), upTo };
  }
}
