/**
 * Maps the digest of each content to its digest under the new keys. The map is stored beside the new generation, so
 * that a later run does not read all contents again.
 */
import path from 'node:path';
import { asTardisError } from '../../errors/index.js';
import { removeDatabase } from '../../store/catalog/index.js';
import type { SqlDatabase, System } from '../../system/index.js';

const MAP_FILE = 'rekey.db';

export class DigestMap {
  private readonly statements;

  private constructor(private readonly database: SqlDatabase) {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.exec(
      'CREATE TABLE IF NOT EXISTS digests (old BLOB PRIMARY KEY, new BLOB NOT NULL) WITHOUT ROWID',
    );
    this.statements = {
      find: database.query('SELECT new FROM digests WHERE old = ?', 'blob'),
      put: database.prepare('INSERT OR REPLACE INTO digests VALUES (?, ?)'),
    };
    database.exec('BEGIN');
  }

  /** Creates or opens the map in a generation's directory. */
  static open(system: System, directory: string): DigestMap {
    const file = path.join(directory, MAP_FILE);
    let database: SqlDatabase | undefined;
    try {
      database = system.openDatabase(file, { readonly: false });
      return new DigestMap(database);
    } catch (error) {
      database?.close();
      throw asTardisError(error, `opening ${file}`, 'writeStore');
    }
  }

  find(old: Uint8Array): Buffer | undefined {
    return this.statements.find.get(old);
  }

  put(old: Uint8Array, fresh: Uint8Array): void {
    this.statements.put.run(old, fresh);
  }

  /**
   * Makes the added digests durable. A digest may be durable before its content, but it is used only if the content is
   * stored.
   */
  commit(): void {
    this.database.exec('COMMIT');
    this.database.exec('BEGIN');
  }

  close(): void {
    try {
      if (this.database.inTransaction) this.database.exec('ROLLBACK');
    } finally {
      this.database.close();
    }
  }
}

/** Deletes the map, since it reveals which contents are equal under both sets of keys. */
export function removeMap(system: System, directory: string): void {
  removeDatabase(system, path.join(directory, MAP_FILE));
}
