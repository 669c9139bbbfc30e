/** Versions of the catalog after that of this software, to test upgrades. */
import fs from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { shapeOf } from '../../src/store/catalog/index.js';
import {
  type CatalogStep,
  nodeSystem,
  type SqlDatabase,
  type System,
} from '../../src/system/index.js';
import { shaped } from '../../src/system/row-shapes.js';
import { ROOT } from '../tidy/house.js';

/** A table that is filled from another one, and a change of that table. */
const LATER = [
  `CREATE TABLE entry_counts (directory_id INTEGER PRIMARY KEY, entries INTEGER NOT NULL);
   CREATE INDEX entry_counts_by_number ON entry_counts (entries);
   INSERT INTO entry_counts SELECT directory_id, count(*) FROM entries GROUP BY directory_id`,
  `ALTER TABLE entry_counts ADD COLUMN remark TEXT NOT NULL DEFAULT 'counted';
   DROP INDEX entry_counts_by_number`,
];

/** Returns steps of these statements, with the shapes that they make of a new catalog. */
export function stepsOf(texts: readonly string[]): CatalogStep[] {
  const database = new Database(':memory:');
  const query: SqlDatabase['query'] = (sql, shape) => shaped(database.prepare(sql), shape);
  const extend = (): void => undefined; // nothing here needs them
  const dispose = (): void => void database.close();
  try {
    database.exec(fs.readFileSync(path.join(ROOT, 'schema', 'tardis.sql'), 'utf8'));
    return texts.map((sql) => {
      database.exec(sql);
      return {
        sql,
        shape: shapeOf(Object.assign(database, { query, extend, [Symbol.dispose]: dispose })),
      };
    });
  } finally {
    database.close();
  }
}

export const LATER_STEPS: readonly CatalogStep[] = stepsOf(LATER);

/** Returns the real system as that of a later release, with these steps. */
export function laterSystem(steps: readonly CatalogStep[] = LATER_STEPS): System {
  return { ...nodeSystem(), catalogSteps: steps };
}
