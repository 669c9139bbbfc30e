/** Queries for open versions that no listed set shows, and that garbage collection must close. */
import type { DirectoryId, RootNumber, SetNumber } from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';

/** An open version of a name, with the fields needed to close it. */
type OpenName = [name: Buffer, firstSet: SetNumber];

/** A root, its own directory, and the newest listed set that includes it. */
export interface RootUse {
  readonly root: RootNumber;
  readonly directory: DirectoryId;
  /** The newest listed set that includes the root; 0 if there is none. */
  readonly newest: SetNumber;
}

export class UnlistedTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = openStatements(database);
  }

  /** Returns all roots. */
  roots(): RootUse[] {
    return this.statements.roots.all();
  }

  /** Returns up to `limit` directories after `after`, with their roots. */
  rootsOfDirectories(
    after: DirectoryId,
    limit: number,
  ): [directory: DirectoryId, root: RootNumber][] {
    return this.statements.rootsOfDirectories.all(after, limit);
  }

  /** Returns up to `limit` open versions in a directory that began after a set. */
  openSince(directory: DirectoryId, set: SetNumber, limit: number): OpenName[] {
    return this.statements.openSince.all(directory, set, limit);
  }

  /** True if a directory has an open seal that began after a set. */
  isSealOpenSince(directory: DirectoryId, set: SetNumber): boolean {
    return this.statements.sealSince.get(directory, set) !== undefined;
  }

  /** Returns unplaced directories without open entries, with their roots. Directories of roots are left out. */
  emptyUnplaced(): [directory: DirectoryId, root: RootNumber][] {
    return this.statements.emptyUnplaced.all();
  }
}

function openStatements(database: SqlDatabase) {
  return {
    roots: database.query(
      `SELECT root_id AS root, directory_id AS directory, coalesce((SELECT max(set_number)
         FROM set_roots JOIN backup_sets USING (set_number)
         WHERE set_roots.root_id = roots.root_id AND state != 'superseded'), 0) AS newest
       FROM roots`,
      { root: 'integer', directory: 'integer', newest: 'integer' },
    ),
    rootsOfDirectories: database.query(
      `SELECT directory_id, root_id FROM directories WHERE directory_id > ?
       ORDER BY directory_id LIMIT ?`,
      ['integer', 'integer'],
    ),
    openSince: database.query(
      `SELECT name, first_set FROM entries
       WHERE directory_id = ? AND last_set IS NULL AND first_set > ? ORDER BY name LIMIT ?`,
      ['blob', 'integer'],
    ),
    sealSince: database.query(
      'SELECT 1 FROM directory_seals WHERE directory_id = ? AND last_set IS NULL AND first_set > ?',
      'integer',
    ),
    emptyUnplaced: database.query(
      `SELECT directory_id, root_id FROM unplaced_directories JOIN directories USING (directory_id)
       WHERE parent_id != 0 AND NOT EXISTS (SELECT 1 FROM entries
         WHERE entries.directory_id = directories.directory_id AND last_set IS NULL)`,
      ['integer', 'integer'],
    ),
  };
}
