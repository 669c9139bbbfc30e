/**
 * The versions of the catalog. A new catalog is made from `schema/tardis.sql`. A catalog of an earlier version is
 * upgraded by one step for each version that it lacks, when it is opened for writing. A catalog of a later version
 * is refused.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { TardisError } from '../../errors/index.js';
import type { CatalogStep, SqlDatabase, System } from '../../system/index.js';
import { NO_TABLES, requireShape } from './soundness/expected-tables.js';

/** The version that `schema/tardis.sql` makes. It is in PRAGMA user_version; an empty database has version 0. */
export const CATALOG_VERSION = 1;

/** The shape of version 1. */
const FIRST_SHAPE = '0dd0d2962adf4851';

/** The upgrade steps, in order: the first one leads to version 2. A released step is never changed. */
const STEPS: readonly CatalogStep[] = [];

/** Returns the steps from version 1 on. */
function stepsOf({ catalogSteps = [] }: System): readonly CatalogStep[] {
  return [...STEPS, ...catalogSteps];
}

/** Returns the newest version that this software supports. */
export function newestVersion(system: System): number {
  return 1 + stepsOf(system).length;
}

export function versionOf(database: SqlDatabase): number {
  return pragmaNumber(database, 'user_version');
}

/** Returns the shape of a version; undefined if there is no such version. */
function shapeOfVersion(system: System, version: number): string | undefined {
  return [NO_TABLES, FIRST_SHAPE, ...stepsOf(system).map(({ shape }) => shape)][version];
}

/**
 * Throws CATALOG_NEWER for a catalog of a later version. Throws CATALOG_DAMAGED unless the catalog has the tables of
 * its version, since queries and upgrades rely on them.
 */
export function requireKnownVersion(
  system: System,
  database: SqlDatabase,
  catalogPath: string,
): void {
  const [version, newest] = [versionOf(database), newestVersion(system)];
  if (version > newest) {
    throw new TardisError(
      'CATALOG_NEWER',
      `${catalogPath} has version ${version}, this software knows ${newest}`,
      { version },
    );
  }
  requireShape(database, version, shapeOfVersion(system, version));
}

/**
 * Throws CATALOG_OLDER for a catalog of an earlier version. An empty catalog is accepted, since its tables are created
 * later.
 */
export function requireNewest(system: System, database: SqlDatabase, catalogPath: string): void {
  const [version, newest] = [versionOf(database), newestVersion(system)];
  if (version === 0 || version === newest) return;
  throw new TardisError(
    'CATALOG_OLDER',
    `${catalogPath} has version ${version}, this software writes ${newest} (AllowSchemaUpgrades is off)`,
    { version },
  );
}

/**
 * Creates the tables of an empty catalog, and upgrades one of an earlier version. Each step and its version number are
 * one transaction, so an interruption leaves the catalog at one of the versions. Throws CATALOG_DAMAGED if the tables
 * after a step are not those of its version; the step is then undone.
 */
export function bringUpToDate(system: System, database: SqlDatabase): void {
  if (versionOf(database) === 0) make(system, database, CATALOG_VERSION, newSchema());
  const steps = stepsOf(system);
  for (let version = versionOf(database) + 1; version <= newestVersion(system); version += 1) {
    make(system, database, version, steps[version - 2]!.sql);
  }
}

/**
 * Brings a catalog to a version by executing SQL statements, in one transaction. Throws CATALOG_DAMAGED if the tables
 * are then not those of the version.
 */
function make(system: System, database: SqlDatabase, version: number, sql: string): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec(sql);
    requireShape(database, version, shapeOfVersion(system, version));
    database.pragma(`user_version = ${version}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** Returns the text of the package's `schema/tardis.sql`, which is searched upward from this file. */
function newSchema(): string {
  const name = path.join('schema', 'tardis.sql');
  let directory = path.dirname(fileURLToPath(import.meta.url));
  while (!fs.existsSync(path.join(directory, name))) {
    const parent = path.dirname(directory);
    if (parent === directory) throw new Error('the schema folder of the package is missing');
    directory = parent;
  }
  return fs.readFileSync(path.join(directory, name), 'utf8');
}

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
