/**
 * Seals of a client that encrypts, which prove that directories and sets are its own. The server cannot
 * interpret them; it stores them and returns them as of any set. Seals of directories are intervals of sets
 * with an open end, as entries are.
 */
import type { DirectoryId, RootNumber, SetNumber } from '../../../model/index.js';
import { TardisError } from '../../../errors/index.js';
import type { SqlDatabase } from '../../../system/index.js';
import { pages } from '../pages.js';

export interface SealedDirectory {
  readonly directory: DirectoryId;
  readonly seal: Buffer;
}

/** A seal of a directory, and the sets for which it is valid. */
export interface SealSpan {
  readonly firstSet: SetNumber;
  /** Undefined if the seal is still valid. */
  readonly lastSet: SetNumber | undefined;
  readonly seal: Buffer;
}

export class SealTable {
  private readonly statements;
  private hasSkip = false;

  constructor(database: SqlDatabase) {
    this.statements = {
      open: database.query(
        'SELECT first_set, seal FROM directory_seals WHERE directory_id = ? AND last_set IS NULL',
        { first_set: 'integer', seal: 'blob' },
      ),
      insert: database.prepare('INSERT OR REPLACE INTO directory_seals VALUES (?, ?, NULL, ?)'),
      close: database.prepare(
        'UPDATE directory_seals SET last_set = ? WHERE directory_id = ? AND first_set = ?',
      ),
      remove: database.prepare(
        'DELETE FROM directory_seals WHERE directory_id = ? AND first_set = ?',
      ),
      openOf: database.query(
        `SELECT directory_id FROM directory_seals JOIN directories USING (directory_id)
         WHERE last_set IS NULL AND root_id = ?`,
        'integer',
      ),
      asOf: database.query(
        `SELECT directory_id AS directory, seal FROM directory_seals
         JOIN directories USING (directory_id)
         WHERE directory_id > ? AND first_set <= ? AND (last_set IS NULL OR last_set >= ?)
           AND root_id IN (SELECT root_id FROM set_roots WHERE set_number = ?)
         ORDER BY directory_id LIMIT ?`,
        { directory: 'integer', seal: 'blob' },
      ),
      directories: database.query(
        `SELECT directory_id FROM directory_seals WHERE directory_id > ?
         GROUP BY directory_id LIMIT ?`,
        'integer',
      ),
      spans: database.query(
        `SELECT first_set AS firstSet, last_set AS lastSet, seal FROM directory_seals
         WHERE directory_id = ? ORDER BY first_set`,
        { firstSet: 'integer', lastSet: 'integer?', seal: 'blob' },
      ),
      setsOf: database.query(
        `SELECT set_number FROM set_roots
         JOIN set_seals USING (set_number) JOIN backup_sets USING (set_number)
         WHERE root_id = ? AND state = 'complete' ORDER BY set_number`,
        'integer',
      ),
      skip: database.query('SELECT seal FROM skip_seals WHERE directory_id = ?', 'blob'),
      any: database.query(
        'SELECT 1 FROM set_seals UNION ALL SELECT 1 FROM directory_seals LIMIT 1',
        'integer',
      ),
      anySkip: database.query('SELECT 1 FROM skip_seals LIMIT 1', 'integer'),
      putSkip: database.prepare('INSERT OR REPLACE INTO skip_seals VALUES (?, ?)'),
      ofSet: database.query('SELECT seal FROM set_seals WHERE set_number = ?', 'blob'),
      putSet: database.prepare('INSERT OR REPLACE INTO set_seals VALUES (?, ?)'),
      deleteSet: database.prepare('DELETE FROM set_seals WHERE set_number = ?'),
      newestSet: database.query(
        `SELECT set_number AS 'set', seal FROM set_seals JOIN backup_sets USING (set_number)
         WHERE state = 'complete' ORDER BY set_number DESC LIMIT 1`,
        { set: 'integer', seal: 'blob' },
      ),
    };
  }

  /** True if there are seals; only clients that encrypt make them. */
  get isAny(): boolean {
    return this.statements.any.get() !== undefined;
  }

  /**
   * Stores the seal of a directory from `set` on; undefined ends the present seal. Returns false if nothing changes.
   */
  put(directory: DirectoryId, set: SetNumber, seal: Buffer | undefined): boolean {
    const open = this.statements.open.get(directory);
    if (seal === undefined ? open === undefined : open?.seal.equals(seal) === true) return false;
    if (open !== undefined) {
      if (open.first_set >= set) this.statements.remove.run(directory, open.first_set);
      else this.statements.close.run(set - 1, directory, open.first_set);
    }
    if (seal !== undefined) this.statements.insert.run(directory, set, seal);
    return true;
  }

  /** Returns the current seal of a directory; undefined if it has none. */
  current(directory: DirectoryId): Buffer | undefined {
    return sealIn(this.statements.open.get(directory)?.seal);
  }

  /** Returns the directories of a root that have a current seal. */
  openOf(root: RootNumber): DirectoryId[] {
    return this.statements.openOf.all(root);
  }

  /** Returns seals as of a set, of directories after `after` below the set's roots. */
  asOf(set: SetNumber, after: DirectoryId, limit: number): SealedDirectory[] {
    const found = this.statements.asOf.all(after, set, set, set, limit);
    for (const { seal } of found) sealIn(seal);
    return found;
  }

  /** Yields all seals as of a set, of directories below the set's roots. */
  allAsOf(set: SetNumber): Iterable<SealedDirectory[]> {
    const pageAfter = (after: DirectoryId, limit: number): SealedDirectory[] =>
      this.asOf(set, after, limit);
    return pages(0, pageAfter, ({ directory }) => directory);
  }

  /** Yields the directories that have or had a seal, in order of id. */
  directories(): Iterable<DirectoryId[]> {
    return pages(0, (...page) => this.statements.directories.all(...page), Number);
  }

  /** Returns the seals of a directory, the oldest first. */
  spansOf(directory: DirectoryId): SealSpan[] {
    return this.statements.spans.all(directory).map(({ lastSet, ...span }) => {
      sealIn(span.seal);
      return { ...span, lastSet: lastSet ?? undefined };
    });
  }

  /** Returns the complete sets that have a seal and show a root, in ascending order. */
  setsOf(root: RootNumber): SetNumber[] {
    return this.statements.setsOf.all(root);
  }

  /** True if any directory has a skip seal. */
  get hasSkipSeals(): boolean {
    this.hasSkip ||= this.statements.anySkip.get() !== undefined;
    return this.hasSkip;
  }

  skipSeal(directory: DirectoryId): Buffer | undefined {
    return sealIn(this.statements.skip.get(directory));
  }

  setSkipSeal(directory: DirectoryId, seal: Buffer): void {
    this.statements.putSkip.run(directory, seal);
  }

  ofSet(set: SetNumber): Buffer | undefined {
    return sealIn(this.statements.ofSet.get(set));
  }

  putSet(set: SetNumber, seal: Buffer): void {
    this.statements.putSet.run(set, seal);
  }

  deleteSet(set: SetNumber): void {
    this.statements.deleteSet.run(set);
  }

  /** Returns the newest complete set that has a seal; undefined if there is none. */
  newestSet(): { set: SetNumber; seal: Buffer } | undefined {
    const newest = this.statements.newestSet.get();
    sealIn(newest?.seal);
    return newest;
  }
}

/** Returns the value if it is a seal or undefined. Throws CATALOG_DAMAGED for a value of another type. */
function sealIn(value: unknown): Buffer | undefined {
  if (value === undefined || Buffer.isBuffer(value)) return value;
  throw new TardisError('CATALOG_DAMAGED', 'a seal in the catalog has a wrong type');
}
