/**
 * Opening a catalog: schema version, migrations, and the settings that a checkpoint's promise rests on.
 * While a session writes, the journal is WAL with FULL synchronisation and checkpoints by hand; when
 * the session ends it goes back to TRUNCATE, so that a reader needs nothing but read permission.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { asTardisError, isDiskFull, systemCode, TardisError } from '../errors/index.js';
import { PrivateFolder, type SqlDatabase, type System } from '../system/index.js';
import { needsCopy, openCopy } from './private-copy.js';
import { hasShape, requireShape } from './shape.js';

export const CATALOG_VERSION = 6;
const CACHE_BYTES = 6 << 20;
/** In a client's directory (docs/formats.md): packs, and the first level of large contents. */
const PACKS = 'packs';
const OBJECTS = /^[0-9a-f]{2}$/;

/** The folder `schema/` of the package, found upward from this file. */
export function schemaDirectory(): string {
  let directory = path.dirname(fileURLToPath(import.meta.url));
  while (!fs.existsSync(path.join(directory, 'schema', 'tardis.sql'))) {
    const parent = path.dirname(directory);
    if (parent === directory) throw new Error('the schema folder of the package is missing');
    directory = parent;
  }
  return path.join(directory, 'schema');
}

export interface WritingOptions {
  readonly cacheBytes?: number | undefined;
  /** False: a catalog of an earlier version is refused. */
  readonly mayUpgrade?: boolean | undefined;
}

/** The version of a catalog as it is; 0: nobody has backed up to the client yet. Throws CATALOG_NEWER, CATALOG_DAMAGED. */
export function catalogVersion(system: System, catalogPath: string): number {
  if (isUnusedClient(system, catalogPath)) return 0;
  const database = openForReading(system, catalogPath);
  try {
    return versionOf(database);
  } finally {
    database.close();
  }
}

/** Opens for writing, making or migrating the catalog. Throws CATALOG_NEWER, CATALOG_OLDER, CATALOG_DAMAGED. */
export function openForWriting(
  system: System,
  catalogPath: string,
  { cacheBytes = CACHE_BYTES, mayUpgrade = true }: WritingOptions = {},
): SqlDatabase {
  let database: SqlDatabase | undefined;
  try {
    database = system.openDatabase(catalogPath, { readonly: false });
    requireKnownVersion(database, catalogPath);
    if (!mayUpgrade) requireNewest(database, catalogPath);
    // WAL first: the schema must not be durable before the journal mode is.
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('wal_autocheckpoint = 0');
    database.pragma('journal_size_limit = 0'); // the log is as large as what is in it
    database.pragma(`cache_size = -${Math.floor(cacheBytes / 1024)}`);
    database.pragma('temp_store = MEMORY');
    migrate(database);
    return database;
  } catch (error) {
    database?.close();
    throw asTardisError(error, `opening ${catalogPath}`);
  }
}

/**
 * Opens read-only; the catalog must exist, unless nobody has backed up to the client yet. Throws CATALOG_NEWER,
 * CATALOG_DAMAGED.
 */
export function openForReading(system: System, catalogPath: string): SqlDatabase {
  if (isUnusedClient(system, catalogPath)) return openEmpty(system);
  if (system.files.status(catalogPath) === undefined) {
    throw new TardisError('CATALOG_DAMAGED', `the catalog ${catalogPath} is missing`);
  }
  try {
    return openChecked(catalogPath, () => system.openDatabase(catalogPath, { readonly: true }));
  } catch (error) {
    if (!needsCopy(error)) throw asTardisError(error, `opening ${catalogPath}`);
    return openCopied(system, catalogPath, error);
  }
}

/**
 * Whether a client has no catalog, or one without tables, and nothing that one would be of: it was made, and its first
 * backup has not come, or was killed when it began.
 */
export function isUnusedClient(system: System, catalogPath: string): boolean {
  const { files } = system;
  const directory = path.dirname(catalogPath);
  if (files.status(directory) === undefined) return false;
  const copy = `${path.basename(catalogPath)}.`;
  const hasNothing = files.list(directory).every((name) => {
    if (name === PACKS) return files.list(path.join(directory, name)).length === 0;
    return !name.startsWith(copy) && !OBJECTS.test(name);
  });
  return hasNothing && isWithoutTables(system, catalogPath);
}

/** As is one that is not there. */
function isWithoutTables(system: System, catalogPath: string): boolean {
  if ((system.files.status(catalogPath)?.sizeBytes ?? 0) === 0) return true;
  let database: SqlDatabase | undefined;
  try {
    database = system.openDatabase(catalogPath, { readonly: true });
    return versionOf(database) === 0 && hasShape(database, 0);
  } catch {
    return false; // whoever opens it tells what is wrong
  } finally {
    database?.close();
  }
}

/** A catalog of no sets, for as long as it is open. */
function openEmpty(system: System): SqlDatabase {
  const folder = new PrivateFolder(system.files);
  try {
    const file = folder.file('none.db');
    closeAfterWriting(openForWriting(system, file), () => false);
    return system.openDatabase(file, { readonly: true }); // it stays until it is closed
  } finally {
    folder.remove();
  }
}

function openCopied(system: System, catalogPath: string, original: unknown): SqlDatabase {
  try {
    return openChecked(catalogPath, () => {
      const database = openCopy(system, catalogPath);
      if (database === undefined) throw original;
      return database;
    });
  } catch (error) {
    throw asTardisError(error, `opening ${catalogPath}`);
  }
}

/** Closes what it opened if that is not a catalog we know. */
function openChecked(catalogPath: string, open: () => SqlDatabase): SqlDatabase {
  const database = open();
  try {
    requireKnownVersion(database, catalogPath);
    if (versionOf(database) === 0) {
      throw new TardisError('CATALOG_DAMAGED', `the catalog ${catalogPath} is empty`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Ends a session: the log goes into the file, and the file alone is the catalog again. Where there is no
 * room for that the log stays beside it, whole and durable, and the next session's end tries again.
 */
export function closeAfterWriting(database: SqlDatabase, makeRoom: () => boolean): void {
  try {
    while (!isFolded(database) && makeRoom());
  } finally {
    database.close();
  }
}

function isFolded(database: SqlDatabase): boolean {
  try {
    database.pragma('wal_checkpoint(TRUNCATE)');
    toTruncate(database);
    return true;
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    return false;
  }
}

/** While somebody reads, the journal stays WAL: the next session's end tries again. */
function toTruncate(database: SqlDatabase): void {
  try {
    database.pragma('journal_mode = TRUNCATE');
  } catch (error) {
    if (systemCode(error)?.startsWith('SQLITE_BUSY') !== true) throw error;
  }
}

/** A version is believed if its tables are there: a reader's statements and a migration are for those alone. */
function requireKnownVersion(database: SqlDatabase, catalogPath: string): void {
  const version = versionOf(database);
  if (version > CATALOG_VERSION) {
    throw new TardisError(
      'CATALOG_NEWER',
      `${catalogPath} has version ${version}, this software knows ${CATALOG_VERSION}`,
      { version },
    );
  }
  requireShape(database, version);
}

/** An empty one is made. */
function requireNewest(database: SqlDatabase, catalogPath: string): void {
  const version = versionOf(database);
  if (version === 0 || version === CATALOG_VERSION) return;
  throw new TardisError(
    'CATALOG_OLDER',
    `${catalogPath} has version ${version}, this software writes ${CATALOG_VERSION} (AllowSchemaUpgrades is off)`,
    { version },
  );
}

function versionOf(database: SqlDatabase): number {
  return database.pragma('user_version', { simple: true }) as number;
}

function migrate(database: SqlDatabase): void {
  const version = versionOf(database);
  if (version === CATALOG_VERSION) return;
  const schema = schemaDirectory();
  const steps: { to: number; sql: string }[] = [];
  if (version === 0) {
    steps.push({
      to: CATALOG_VERSION,
      sql: fs.readFileSync(path.join(schema, 'tardis.sql'), 'utf8'),
    });
  } else {
    const migrations = path.join(schema, 'migrations');
    for (const file of fs.readdirSync(migrations).sort()) {
      const to = Number.parseInt(file, 10);
      if (!file.endsWith('.sql') || to <= version) continue;
      steps.push({ to, sql: fs.readFileSync(path.join(migrations, file), 'utf8') });
    }
  }
  for (const step of steps) {
    database.exec('BEGIN IMMEDIATE');
    try {
      database.exec(step.sql);
      database.pragma(`user_version = ${step.to}`);
      database.exec('COMMIT');
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }
}
