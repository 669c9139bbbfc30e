/** Functions that read the pragmas of a catalog and check the types of their values. */
import { TardisError } from '../../errors/index.js';
import type { SqlDatabase } from '../../system/index.js';

/** Returns the value of a pragma that is a number. Throws CATALOG_DAMAGED if SQLite returns something else. */
export function pragmaNumber(database: SqlDatabase, name: string): number {
  const value = database.pragma(name, { simple: true });
  if (typeof value === 'number') return value;
  throw new TardisError('CATALOG_DAMAGED', `the catalog has no number for ${name}`);
}

/** Copies the write-ahead log into the file, as far as readers allow. Returns true if the whole log was copied. */
export function foldWal(database: SqlDatabase): boolean {
  const rows = database.pragma('wal_checkpoint(PASSIVE)');
  const state: unknown = Array.isArray(rows) ? rows[0] : undefined;
  if (typeof state !== 'object' || state === null) return false;
  const { busy, log, checkpointed } = Object.fromEntries(Object.entries(state));
  return busy === 0 && log === checkpointed;
}
