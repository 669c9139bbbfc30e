/**
 * Whether a catalog has the tables that our statements are about. SQLite's own checks do not tell: a schema in which
 * one bit of a name is another is a good schema. Nor may a catalog from elsewhere bring triggers or views along.
 */
import { createHash } from 'node:crypto';
import { TardisError } from '../errors/index.js';
import type { SqlDatabase } from '../system/index.js';

/** Of CATALOG_VERSION; a test compares it with `schema/`. */
const SHAPE = 'd09bcef46d3d47ac';

/** Without indexes: they change no answer, and SQLite's integrity check is about them. */
const LINES = `SELECT s.type || ' ' || s.name || coalesce(
    printf('.%s %s %d %d %s', c.name, c.type, c."notnull", c.pk, c.dflt_value), '')
  FROM sqlite_schema s LEFT JOIN pragma_table_info(s.name) c
  WHERE s.type != 'index' AND s.name NOT GLOB 'sqlite_*' ORDER BY 1`;

/** A digest of tables and columns, in which order does not count: a migrated catalog has its own. */
export function shapeOf(database: SqlDatabase): string {
  const lines = database.prepare(LINES).pluck().all() as string[];
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}

/** Throws CATALOG_DAMAGED unless a catalog of the newest version has its tables, their columns, and nothing else. */
export function requireShape(database: SqlDatabase, catalogPath: string): void {
  if (shapeOf(database) === SHAPE) return;
  throw new TardisError('CATALOG_DAMAGED', 'the catalog has other tables than its version', {
    path: catalogPath,
  });
}
