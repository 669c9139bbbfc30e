/**
 * Queries on the whole history of a catalog, set by set, for rewriting it. Each query is short, since a session
 * may be writing meanwhile.
 */
import {
  type ContentId,
  type DirectoryId,
  NO_BYTES,
  NO_CONTENT,
  type PackNumber,
  type RootNumber,
  RowFlag,
  type SetNumber,
} from '../../model/index.js';
import type { OwnerRecord } from '../index.js';
import type { SqlDatabase } from '../../system/index.js';
import { SELECT_ENTRY } from './tables/entries.js';
import { type CatalogEntry, ENTRY_ROW, toEntry } from './tables/stored-entry.js';
import { pages } from './pages.js';
import { isShown } from './visible-sets.js';

/** The place of a content, or of its signature. */
export interface PlacedContent {
  readonly contentId: ContentId;
  readonly digest: Buffer;
  readonly kind: number;
  readonly pack: PackNumber;
  readonly position: number;
  readonly recordBytes: number;
}

/** An open version with a flag other than that of sparse contents. */
interface FlaggedHead {
  readonly directory: DirectoryId;
  readonly name: Buffer;
  readonly firstSet: SetNumber;
  readonly flags: number;
}

const PLACED = `content_id AS contentId, digest, kind, pack, position, record_bytes AS recordBytes`;

const PLACED_ROW = {
  contentId: 'content',
  digest: 'blob',
  kind: 'integer',
  pack: 'integer',
  position: 'integer',
  recordBytes: 'integer',
} as const;

export class HistoryTable {
  private readonly statements;
  private readonly placed;

  constructor(database: SqlDatabase) {
    this.placed = placedStatements(database);
    this.statements = {
      directories: database.query(
        'SELECT directory_id FROM entries WHERE directory_id > ? GROUP BY directory_id LIMIT ?',
        'integer',
      ),
      orphans: database.query(
        `SELECT directory_id FROM entries WHERE directory_id != 0
         EXCEPT SELECT child_id FROM entries WHERE child_id IS NOT NULL LIMIT ?`,
        'integer',
      ),
      changes: database.query(
        `SELECT first_set FROM entries WHERE directory_id = ?
         UNION SELECT last_set + 1 FROM entries WHERE directory_id = ? AND last_set IS NOT NULL`,
        'integer',
      ),
      begun: database.query(
        `${SELECT_ENTRY} WHERE directory_id = ? AND name > ? AND first_set = ? ORDER BY name LIMIT ?`,
        ENTRY_ROW,
      ),
      ended: database.query(
        `SELECT name FROM entries WHERE directory_id = ? AND name > ? AND last_set = ?
           AND NOT EXISTS (SELECT 1 FROM entries next WHERE next.directory_id = entries.directory_id
             AND next.name = entries.name AND next.first_set = entries.last_set + 1)
         ORDER BY name LIMIT ?`,
        'blob',
      ),
      versions: database.query(
        `${SELECT_ENTRY} WHERE directory_id = ? AND (name, first_set) > (?, ?)
         ORDER BY name, first_set LIMIT ?`,
        ENTRY_ROW,
      ),
      anyAsOf: database.query(
        `SELECT 1 FROM entries WHERE directory_id = ? AND first_set <= ?
         AND (last_set IS NULL OR last_set >= ?) LIMIT 1`,
        'integer',
      ),
      rootOf: database.query('SELECT root_id FROM directories WHERE directory_id = ?', 'integer'),
      owners: database.query(
        `SELECT is_group AS isGroup, id, name FROM owner_names WHERE first_set > ? AND first_set <= ?
         ORDER BY first_set`,
        { isGroup: 'integer', id: 'integer', name: 'blob' },
      ),
      children: database.query(
        `SELECT directory_id, name, child_id FROM entries
         WHERE child_id IS NOT NULL AND last_set IS NULL`,
        ['integer', 'blob', 'integer'],
      ),
      unplaced: database.query('SELECT directory_id FROM unplaced_directories', 'integer'),
      flagged: database.query(
        `SELECT directory_id AS directory, name, first_set AS firstSet, flags FROM entries
         WHERE last_set IS NULL AND (flags & ~${RowFlag.sparse}) != 0`,
        { directory: 'integer', name: 'blob', firstSet: 'integer', flags: 'integer' },
      ),
    };
  }

  /** Yields the directories that ever had an entry. */
  directories(): Generator<DirectoryId[]> {
    return pages(-1, (...page) => this.statements.directories.all(...page), Number);
  }

  /**
   * Returns up to `limit` directories that have entries, but to which no entry leads in any set: that entry was lost.
   */
  orphans(limit: number): DirectoryId[] {
    return this.statements.orphans.all(limit);
  }

  /** Returns the sets in which versions of a directory began or ended. */
  changesOf(directory: DirectoryId): SetNumber[] {
    return this.statements.changes.all(directory, directory);
  }

  /** Yields the versions in a directory that began in a set, by name. */
  begunIn(directory: DirectoryId, set: SetNumber): Iterable<CatalogEntry[]> {
    const { begun } = this.statements;
    return pages(
      NO_BYTES,
      (after, limit) => begun.all(directory, after, set, limit).map(toEntry),
      ({ name }) => name,
    );
  }

  /** Yields the names in a directory that were in the set before `set` but are not in `set`. */
  endedIn(directory: DirectoryId, set: SetNumber): Iterable<Buffer[]> {
    const { ended } = this.statements;
    return pages(
      NO_BYTES,
      (after, limit) => ended.all(directory, after, set - 1, limit),
      (name) => name,
    );
  }

  /** Yields all versions in a directory, by name and first set. */
  versionsIn(directory: DirectoryId): Iterable<CatalogEntry[]> {
    const { versions } = this.statements;
    return pages(
      { name: NO_BYTES, firstSet: 0 },
      ({ name, firstSet }, limit) => versions.all(directory, name, firstSet, limit).map(toEntry),
      ({ name, firstSet }) => ({ name, firstSet }),
    );
  }

  /** True if a directory has an entry as of a set. */
  hasAny(directory: DirectoryId, set: SetNumber): boolean {
    return this.statements.anyAsOf.get(directory, set, set) !== undefined;
  }

  /** Returns the root of a directory; 0 if it is unknown. */
  rootOf(directory: DirectoryId): RootNumber {
    return this.statements.rootOf.get(directory) ?? 0;
  }

  /** Returns the names of owners recorded after one set and up to another, oldest first. */
  ownersBetween(after: SetNumber, upTo: SetNumber): OwnerRecord[] {
    const rows = this.statements.owners.all(after, upTo);
    return rows.map(({ isGroup, id, name }) => ({ isGroup: isGroup === 1, id, name }));
  }

  /** Yields the open entries of directories: the parent, the name, and the id of the directory. */
  openDirectories(): IterableIterator<[directory: DirectoryId, name: Buffer, child: DirectoryId]> {
    return this.statements.children.iterate();
  }

  unplaced(): DirectoryId[] {
    return this.statements.unplaced.all();
  }

  flaggedHeads(): FlaggedHead[] {
    return this.statements.flagged.all();
  }

  /** Yields the stored contents with ids above `after`, in the order in which they were stored. */
  contents(after: ContentId = NO_CONTENT): Iterable<PlacedContent[]> {
    return pages(
      after,
      (...page) => this.placed.contents.all(...page),
      ({ contentId }) => contentId,
    );
  }

  /** Yields contents with a signature, and the places of the signatures. */
  signatures(): Iterable<PlacedContent[]> {
    return pages(
      NO_CONTENT,
      (...page) => this.placed.signatures.all(...page),
      ({ contentId }) => contentId,
    );
  }

  get contentCount(): number {
    return this.placed.contentCount.get()!;
  }

  /** Number of versions of files in listed sets whose contents are missing. */
  get lostVersions(): number {
    return this.placed.lostVersions.get()!;
  }

  /** Number of versions of files in listed sets whose contents are missing or damaged. */
  get unreadableVersions(): number {
    return this.placed.unreadableVersions.get()!;
  }

  /** Number of versions of files in listed sets whose contents are missing, or depend on a missing basis or part. */
  get brokenVersions(): number {
    return this.placed.brokenVersions.get()!;
  }

  /** Total size of the records of contents. */
  get recordBytes(): number {
    return this.placed.recordBytes.get()!;
  }
}

/**
 * Query part for contents that are missing, and contents that depend on them, directly or indirectly: deltas, and
 * contents in parts.
 */
const BROKEN = `WITH RECURSIVE broken (content_id) AS (
  SELECT content_id FROM contents WHERE record_id IS NULL
  UNION SELECT contents.content_id FROM broken JOIN contents ON basis_id = broken.content_id
  UNION SELECT content_parts.content_id FROM broken JOIN content_parts ON part_id = broken.content_id)`;

/** Returns a query that counts versions of files in listed sets whose contents meet a condition. */
function countVersions(which: string): string {
  return `SELECT count(*) FROM entries JOIN contents USING (content_id)
    WHERE ${which} AND (last_set IS NULL OR ${isShown({ table: 'entries' })})`;
}

function placedStatements(database: SqlDatabase) {
  return {
    contents: database.query(
      `SELECT ${PLACED} FROM contents JOIN records USING (record_id)
       WHERE content_id > ? ORDER BY content_id LIMIT ?`,
      PLACED_ROW,
    ),
    signatures: database.query(
      `SELECT ${PLACED} FROM signatures JOIN records ON records.record_id = signatures.record_id
       JOIN contents USING (content_id) WHERE content_id > ? ORDER BY content_id LIMIT ?`,
      PLACED_ROW,
    ),
    contentCount: database.query(
      'SELECT count(*) FROM contents WHERE record_id IS NOT NULL',
      'integer',
    ),
    lostVersions: database.query(countVersions('record_id IS NULL'), 'integer'),
    unreadableVersions: database.query(
      countVersions('(record_id IS NULL OR is_damaged)'),
      'integer',
    ),
    brokenVersions: database.query(`${BROKEN} ${countVersions('content_id IN broken')}`, 'integer'),
    recordBytes: database.query('SELECT coalesce(sum(record_bytes), 0) FROM records', 'integer'),
  };
}
