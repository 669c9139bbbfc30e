/**
 * Seals of a client that encrypts: what proves that directories and sets are its own. They mean nothing
 * here; they are kept, and given back as of any set. Those of directories are intervals with an open end,
 * as entries are.
 */
import type { SqlDatabase } from '../system/index.js';

export interface SealedDirectory {
  readonly directory: number;
  readonly seal: Buffer;
}

type Open = { first_set: number; seal: Buffer };

export class SealTable {
  private readonly statements;
  private hasSkip = false;

  constructor(database: SqlDatabase) {
    this.statements = {
      open: database.prepare(
        'SELECT first_set, seal FROM directory_seals WHERE directory_id = ? AND last_set IS NULL',
      ),
      insert: database.prepare('INSERT OR REPLACE INTO directory_seals VALUES (?, ?, NULL, ?)'),
      close: database.prepare(
        'UPDATE directory_seals SET last_set = ? WHERE directory_id = ? AND first_set = ?',
      ),
      remove: database.prepare(
        'DELETE FROM directory_seals WHERE directory_id = ? AND first_set = ?',
      ),
      openOf: database
        .prepare(
          `SELECT directory_id FROM directory_seals JOIN directories USING (directory_id)
           WHERE last_set IS NULL AND root_id = ?`,
        )
        .pluck(),
      asOf: database.prepare(
        `SELECT directory_id AS directory, seal FROM directory_seals
         JOIN directories USING (directory_id)
         WHERE directory_id > ? AND first_set <= ? AND (last_set IS NULL OR last_set >= ?)
           AND root_id IN (SELECT root_id FROM set_roots WHERE set_number = ?)
         ORDER BY directory_id LIMIT ?`,
      ),
      skip: database.prepare('SELECT seal FROM skip_seals WHERE directory_id = ?').pluck(),
      anySkip: database.prepare('SELECT 1 FROM skip_seals LIMIT 1'),
      putSkip: database.prepare('INSERT OR REPLACE INTO skip_seals VALUES (?, ?)'),
      ofSet: database.prepare('SELECT seal FROM set_seals WHERE set_number = ?').pluck(),
      putSet: database.prepare('INSERT OR REPLACE INTO set_seals VALUES (?, ?)'),
      dropSet: database.prepare('DELETE FROM set_seals WHERE set_number = ?'),
      newestSet: database.prepare(
        `SELECT set_number AS 'set', seal FROM set_seals JOIN backup_sets USING (set_number)
         WHERE state = 'complete' ORDER BY set_number DESC LIMIT 1`,
      ),
    };
  }

  /** Writes the seal of a directory from `set` on; undefined: it has none. False when nothing changes. */
  put(directory: number, set: number, seal: Buffer | undefined): boolean {
    const open = this.statements.open.get(directory) as Open | undefined;
    if (seal === undefined ? open === undefined : open?.seal.equals(seal) === true) return false;
    if (open !== undefined) {
      if (open.first_set >= set) this.statements.remove.run(directory, open.first_set);
      else this.statements.close.run(set - 1, directory, open.first_set);
    }
    if (seal !== undefined) this.statements.insert.run(directory, set, seal);
    return true;
  }

  /** The one a directory has now. */
  current(directory: number): Buffer | undefined {
    return (this.statements.open.get(directory) as Open | undefined)?.seal;
  }

  /** Directories of a root that have one now. */
  openOf(root: number): number[] {
    return this.statements.openOf.all(root) as number[];
  }

  /** Those of the directories of a set's roots as of that set, behind a directory. */
  asOf(set: number, after: number, limit: number): SealedDirectory[] {
    return this.statements.asOf.all(after, set, set, set, limit) as SealedDirectory[];
  }

  /** Whether the client seals at all. */
  get hasSkipSeals(): boolean {
    this.hasSkip ||= this.statements.anySkip.get() !== undefined;
    return this.hasSkip;
  }

  skipSeal(directory: number): Buffer | undefined {
    return this.statements.skip.get(directory) as Buffer | undefined;
  }

  setSkipSeal(directory: number, seal: Buffer): void {
    this.statements.putSkip.run(directory, seal);
  }

  ofSet(set: number): Buffer | undefined {
    return this.statements.ofSet.get(set) as Buffer | undefined;
  }

  putSet(set: number, seal: Buffer): void {
    this.statements.putSet.run(set, seal);
  }

  dropSet(set: number): void {
    this.statements.dropSet.run(set);
  }

  /** The newest complete set that has one. */
  newestSet(): { set: number; seal: Buffer } | undefined {
    return this.statements.newestSet.get() as { set: number; seal: Buffer } | undefined;
  }
}
