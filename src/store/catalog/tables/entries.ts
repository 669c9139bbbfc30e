/**
 * Entries: versions of names in directories, as intervals of sets. A name has at most one open row. A row that
 * begins in the current set is replaced rather than closed.
 */
import {
  type ContentId,
  type DirectoryId,
  metadataOf,
  type RowReader,
  type SetNumber,
  STORED_FLAGS,
} from '../../../model/index.js';
import type { RowOf, SqlDatabase } from '../../../system/index.js';
import { pages } from '../pages.js';
import { entriesOfPacked, packedEntriesQuery } from './packed-values.js';
import { type CatalogEntry, ENTRY_ROW, toEntry } from './stored-entry.js';

/** The part of an open row that is needed to close or replace it. */
interface OpenRow {
  readonly firstSet: SetNumber;
  readonly childId: DirectoryId | undefined;
}

/** An open row, with the data that decides whether a file must be read again. */
export interface HeadRow extends OpenRow {
  readonly name: Buffer;
  readonly contentId: ContentId | undefined;
  /** True unless the entry names a content whose bytes are missing. */
  readonly isStored: boolean;
  readonly flags: number;
  readonly metadata: Buffer;
}

/** The content or directory that a row refers to. */
export interface RowTargets {
  readonly contentId: ContentId | undefined;
  readonly childId: DirectoryId | undefined;
}

/** A new version of a name in a directory, from a set on. */
export interface NewVersion extends RowTargets {
  readonly directory: DirectoryId;
  readonly set: SetNumber;
}

/** Selects a page of a directory's entries. */
export interface ListingPage {
  readonly directory: DirectoryId;
  readonly set: SetNumber;
  readonly after: Buffer;
  readonly limit: number;
  readonly withDigests: boolean;
  /**
   * Set to compare with. If given, the caller needs only directories and entries that differ from those as of this set.
   * A query may ignore this field and return more entries.
   */
  readonly unlike?: SetNumber | undefined;
}

/** Selects entries of several directories, for each directory up to `limit` after the name `after`. */
export interface PackedPages {
  readonly directories: readonly DirectoryId[];
  readonly set: SetNumber;
  readonly after: Buffer;
  readonly limit: number;
}

const COLUMNS =
  'directory_id, name, first_set, last_set, type, flags, size_bytes, content_id, child_id, metadata';
const SELECT = `SELECT directory_id, name, first_set, last_set, flags, content_id, child_id, metadata`;
const DIGEST = '(SELECT digest FROM contents WHERE contents.content_id = entries.content_id)';
export const AS_OF: string = 'first_set <= ? AND (last_set IS NULL OR last_set >= ?)';
const SELECT_HEAD = `
  SELECT name, first_set, child_id, entries.content_id,
         entries.content_id IS NULL OR (record_id IS NOT NULL AND NOT is_damaged), flags, metadata
  FROM entries LEFT JOIN contents ON contents.content_id = entries.content_id`;

/** Queries of versions whose rows `toEntry` accepts. SELECT_ROW has no digest, SELECT_ENTRY has it. */
export const SELECT_ROW: string = `${SELECT}, NULL FROM entries`;
export const SELECT_ENTRY: string = `${SELECT}, ${DIGEST} FROM entries`;

const PACKED_AS_OF = packedEntriesQuery(`directory_id = ? AND name > ? AND ${AS_OF}`);

/**
 * Query for pages of several directories in one value. SQLite joins blobs byte by byte, in the order of the inner query;
 * the limit of that query keeps the order. One statement for several directories takes a third of the time of one for
 * each.
 */
const PACKED_PAGES = `
  WITH listed AS (SELECT key, value FROM json_each(?))
  SELECT CAST(ifnull(group_concat(length(packed) || ';' || packed, ''), '') AS BLOB)
  FROM (
    SELECT (${packedEntriesQuery(`directory_id = listed.value AND name > ? AND ${AS_OF}`)}) AS packed
    FROM listed ORDER BY listed.key)`;

/** The row of `SELECT_HEAD`. */
const HEAD_ROW = ['blob', 'integer', 'integer?', 'content?', 'integer', 'integer', 'blob'] as const;

function toHeadRow(columns: RowOf<typeof HEAD_ROW>): HeadRow {
  const [name, firstSet, childId, contentId, isStored, flags, metadata] = columns;
  return {
    name,
    firstSet,
    childId: childId ?? undefined,
    contentId: contentId ?? undefined,
    isStored: isStored === 1,
    flags,
    metadata,
  };
}

export class EntryTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      put: database.prepare(
        `INSERT OR REPLACE INTO entries (${COLUMNS}) VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, ?)`,
      ),
      open: database.query(
        `SELECT first_set, child_id FROM entries
         WHERE directory_id = ? AND name = ? AND last_set IS NULL ORDER BY first_set DESC LIMIT 1`,
        ['integer', 'integer?'],
      ),
      close: database.prepare(
        'UPDATE entries SET last_set = ? WHERE directory_id = ? AND name = ? AND first_set = ?',
      ),
      remove: database.prepare(
        'DELETE FROM entries WHERE directory_id = ? AND name = ? AND first_set = ?',
      ),
      setFlags: database.prepare(
        'UPDATE entries SET flags = ? WHERE directory_id = ? AND name = ? AND first_set = ?',
      ),
      head: database.query(
        `${SELECT_HEAD}
         WHERE directory_id = ? AND name > ? AND name <= ? AND last_set IS NULL ORDER BY name`,
        HEAD_ROW,
      ),
      headOne: database.query(
        `${SELECT_HEAD} WHERE directory_id = ? AND name = ? AND last_set IS NULL`,
        HEAD_ROW,
      ),
      headNames: database.query(
        `SELECT name, first_set, child_id FROM entries
         WHERE directory_id = ? AND last_set IS NULL ORDER BY name LIMIT ?`,
        ['blob', 'integer', 'integer?'],
      ),
      page: database.query(
        `${SELECT}, NULL FROM entries
         WHERE directory_id = ? AND name > ? AND ${AS_OF} ORDER BY name LIMIT ?`,
        ENTRY_ROW,
      ),
      pageWithDigests: database.query(
        `${SELECT}, ${DIGEST} FROM entries
         WHERE directory_id = ? AND name > ? AND ${AS_OF} ORDER BY name LIMIT ?`,
        ENTRY_ROW,
      ),
      packedPage: database.query(PACKED_AS_OF, 'blob'),
      packedPages: database.query(PACKED_PAGES, 'blob'),
      oneAsOf: database.query(
        `${SELECT}, ${DIGEST} FROM entries WHERE directory_id = ? AND name = ? AND ${AS_OF}`,
        ENTRY_ROW,
      ),
      versions: database.query(
        `${SELECT}, ${DIGEST} FROM entries
         WHERE directory_id = ? AND name = ? ORDER BY first_set`,
        ENTRY_ROW,
      ),
      any: database.query('SELECT 1 FROM entries LIMIT 1', 'integer'),
    };
  }

  /** Writes the row at `at` as the open version of its name from `version.set` on. */
  put({ directory, set, contentId, childId }: NewVersion, rows: RowReader, at: number): void {
    this.statements.put.run(
      directory,
      rows.name(at),
      set,
      rows.type(at),
      rows.flags(at) & STORED_FLAGS,
      rows.sizeBytes(at),
      contentId ?? null,
      childId ?? null,
      metadataOf(rows, at),
    );
  }

  /** Returns the open version of a name, or undefined. */
  findOpen(directory: DirectoryId, name: Buffer): OpenRow | undefined {
    const row = this.statements.open.get(directory, name);
    return row === undefined ? undefined : { firstSet: row[0], childId: row[1] ?? undefined };
  }

  /** Ends an open version with the set before `set`. A version that began in `set` itself is deleted. */
  close(directory: DirectoryId, name: Buffer, open: OpenRow, set: SetNumber): void {
    if (open.firstSet >= set) this.statements.remove.run(directory, name, open.firstSet);
    else this.statements.close.run(set - 1, directory, name, open.firstSet);
  }

  /** Changes the flags of an open version without making a new one. */
  setFlags(directory: DirectoryId, name: Buffer, firstSet: SetNumber, flags: number): void {
    this.statements.setFlags.run(flags & STORED_FLAGS, directory, name, firstSet);
  }

  /** Returns the open versions of the names after `after` up to `upTo`, sorted. */
  headRange(directory: DirectoryId, after: Buffer, upTo: Buffer): HeadRow[] {
    return this.statements.head.all(directory, after, upTo).map(toHeadRow);
  }

  /** Returns the open version of one name; undefined if there is none. */
  findHead(directory: DirectoryId, name: Buffer): HeadRow | undefined {
    const row = this.statements.headOne.get(directory, name);
    return row === undefined ? undefined : toHeadRow(row);
  }

  /** Returns up to `limit` open versions of a directory, with the fields needed to close them. */
  headNames(directory: DirectoryId, limit: number): (OpenRow & { readonly name: Buffer })[] {
    const rows = this.statements.headNames.all(directory, limit);
    return rows.map(([name, firstSet, childId]) => ({
      name,
      firstSet,
      childId: childId ?? undefined,
    }));
  }

  /**
   * Returns a page of a directory as of a set, by name, after the name `after`. Leaving out digests saves a
   * lookup for each file.
   */
  listAsOf({ directory, set, after, limit, withDigests }: ListingPage): CatalogEntry[] {
    if (!withDigests) {
      const packed = this.statements.packedPage.get(directory, after, set, set, limit);
      const entries = packed && entriesOfPacked(packed, directory);
      if (entries !== undefined) return entries;
    }
    const statement = withDigests ? this.statements.pageWithDigests : this.statements.page;
    const rows = statement.all(directory, after, set, set, limit);
    return rows.map(toEntry);
  }

  /** Yields the entries of a directory as of a set, by name. */
  allAsOf(directory: DirectoryId, set: SetNumber): Iterable<CatalogEntry[]> {
    const pageAfter = (after: Buffer, limit: number): CatalogEntry[] =>
      this.listAsOf({ directory, set, after, limit, withDigests: true });
    return pages(Buffer.alloc(0), pageAfter, ({ name }) => name);
  }

  /** Returns pages as `listAsOf` does, but of several directories and as one value. The value is not checked. */
  packedAsOf({ directories, set, after, limit }: PackedPages): Buffer | undefined {
    const { packedPages } = this.statements;
    return packedPages.get(JSON.stringify(directories), after, set, set, limit);
  }

  findAsOf(directory: DirectoryId, name: Buffer, set: SetNumber): CatalogEntry | undefined {
    const row = this.statements.oneAsOf.get(directory, name, set, set);
    return row === undefined ? undefined : toEntry(row);
  }

  /** Returns all versions of a name in one directory, oldest first. */
  versions(directory: DirectoryId, name: Buffer): CatalogEntry[] {
    return this.statements.versions.all(directory, name).map(toEntry);
  }

  isEmpty(): boolean {
    return this.statements.any.get() === undefined;
  }
}
