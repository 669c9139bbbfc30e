/**
 * Checks that a catalog has the tables that the queries expect. SQLite's own checks do not show this, since a schema
 * with a changed bit in a name is still valid. A catalog must also not contain triggers or views from elsewhere.
 */
import { createHash } from 'node:crypto';
import { systemCode, TardisError } from '../../../errors/index.js';
import type { SqlDatabase } from '../../../system/index.js';

/** The result of `shapeOf` for a database without tables. */
export const NO_TABLES = 'e3b0c44298fc1c14';

/** Indexes are left out: they change no result, and SQLite's integrity check covers them. */
const LINES = `SELECT s.type || ' ' || s.name || coalesce(
    printf('.%s %s %d %d %s', c.name, c.type, c."notnull", c.pk, c.dflt_value), '')
  FROM sqlite_schema s LEFT JOIN pragma_table_xinfo(s.name) c
  WHERE s.type != 'index' AND s.name NOT GLOB 'sqlite_*' ORDER BY 1`;

/**
 * Returns a digest of tables and columns. Their order does not count, since an upgraded catalog has another
 * order.
 */
export function shapeOf(database: SqlDatabase): string {
  const lines = linesOf(database);
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}

/**
 * Returns the tables and columns. Throws CATALOG_DAMAGED if SQLite rejects the query, since the query is
 * correct.
 */
function linesOf(database: SqlDatabase): string[] {
  try {
    return database.query(LINES, 'text').all();
  } catch (error) {
    if (systemCode(error) !== 'SQLITE_ERROR') throw error;
    const why = (error as Error).message;
    throw new TardisError('CATALOG_DAMAGED', `the catalog cannot be read: ${why}`, {}, error);
  }
}

/** True if a catalog has no tables. */
export function hasNoTables(database: SqlDatabase): boolean {
  return shapeOf(database) === NO_TABLES;
}

/**
 * Throws CATALOG_DAMAGED unless a catalog has exactly the tables and columns of its version. `wanted` is the shape of
 * that version; undefined if the version is unknown. The error's context has the shape that was found.
 */
export function requireShape(
  database: SqlDatabase,
  version: number,
  wanted: string | undefined,
): void {
  const shape = shapeOf(database);
  if (shape === wanted) return;
  const message = `the catalog has other tables than those of version ${version}`;
  throw new TardisError('CATALOG_DAMAGED', message, { shape });
}
