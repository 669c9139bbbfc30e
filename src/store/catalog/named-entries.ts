/** Finds names in all directories and sets, in slices of versions, since a session may be waiting. */
import type { SetNumber } from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';
import type { EntryPlace } from './reports.js';

/** A version of a name, with its place and its sets. */
export interface NamedVersion extends EntryPlace {
  readonly firstSet: SetNumber;
  /** Last set of the version; undefined for an open version. */
  readonly lastSet: SetNumber | undefined;
}

export class NamedEntries {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      behind: database.query(
        `SELECT directory_id, name FROM entries WHERE (directory_id, name) > (?, ?)
         ORDER BY directory_id, name, first_set LIMIT 1 OFFSET ?`,
        ['integer', 'blob'],
      ),
      named: database.query(
        `SELECT directory_id, name, first_set, last_set FROM entries
         WHERE (directory_id, name) > (?, ?) AND (directory_id, name) <= (?, ?)
           AND (? = 0 OR instr(name, ?) > 0)
         ORDER BY directory_id, name, first_set`,
        ['integer', 'blob', 'integer', 'integer?'],
      ),
    };
  }

  /** Returns the place `versions` versions after the given one; undefined if there are fewer. */
  placeBehind({ directory, name }: EntryPlace, versions: number): EntryPlace | undefined {
    const row = this.statements.behind.get(directory, name, versions - 1);
    if (row === undefined) return undefined;
    const [behind, last] = row;
    return { directory: behind, name: last };
  }

  /**
   * Returns all versions after one place and up to another whose names contain the bytes of `literal`. An empty
   * `literal` matches every name.
   */
  find(after: EntryPlace, upTo: EntryPlace, literal: Buffer): NamedVersion[] {
    const between = [after.directory, after.name, upTo.directory, upTo.name];
    const rows = this.statements.named.all(...between, literal.length, literal);
    return rows.map(([directory, name, firstSet, lastSet]) => ({
      directory,
      name,
      firstSet,
      lastSet: lastSet ?? undefined,
    }));
  }
}
