/**
 * Whether a catalog has the tables that our statements are about. SQLite's own checks do not tell: a schema in which
 * one bit of a name is another is a good schema. Nor may a catalog from elsewhere bring triggers or views along.
 */
import { createHash } from 'node:crypto';
import { TardisError } from '../errors/index.js';
import type { SqlDatabase } from '../system/index.js';

/** Of each version; 0 has no tables. A change of the schema adds one: the error's context names it. */
const SHAPES = [
  'e3b0c44298fc1c14',
  '396634016b9e7350',
  '73eefc5660127511',
  'd105a0e6e4a0a92f',
  '4288fbba2809d58e',
  'f5b6d7d7397f9cc1',
  'd09bcef46d3d47ac',
];

/** Without indexes: they change no answer, and SQLite's integrity check is about them. */
const LINES = `SELECT s.type || ' ' || s.name || coalesce(
    printf('.%s %s %d %d %s', c.name, c.type, c."notnull", c.pk, c.dflt_value), '')
  FROM sqlite_schema s LEFT JOIN pragma_table_info(s.name) c
  WHERE s.type != 'index' AND s.name NOT GLOB 'sqlite_*' ORDER BY 1`;

/** A digest of tables and columns, in which order does not count: a migrated catalog has its own. */
function shapeOf(database: SqlDatabase): string {
  const lines = database.prepare(LINES).pluck().all() as string[];
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}

/** Whether it has the tables of a version, their columns, and nothing else. */
export function hasShape(database: SqlDatabase, version: number): boolean {
  return shapeOf(database) === SHAPES[version];
}

/** Throws CATALOG_DAMAGED unless a catalog has the tables of its version, their columns, and nothing else. */
export function requireShape(database: SqlDatabase, version: number): void {
  if (hasShape(database, version)) return;
  const message = `the catalog has other tables than those of version ${version}`;
  throw new TardisError('CATALOG_DAMAGED', message, { shape: shapeOf(database) });
}
