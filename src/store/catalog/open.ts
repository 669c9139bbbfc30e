/**
 * Opens a catalog: its version, upgrades, and the settings that make a checkpoint durable. While a session writes,
 * the journal mode is WAL with synchronous=FULL, and SQLite never folds its log into the catalog by itself. At the end
 * the mode becomes TRUNCATE again, unless another process is reading, so that a reader needs only read permission.
 */
import path from 'node:path';
import { asTardisError, isDiskFull, systemCode, TardisError } from '../../errors/index.js';
import { catalogNotOpened, CHECKED_FILE, RESERVE_FILE } from '../index.js';
import { PrivateFolder, type SqlDatabase, type System } from '../../system/index.js';
import { needsCopy, openCopy } from './private-copy.js';
import { logOfAnother, pagesChanged, pagesDamaged, PageSums } from './soundness/page-sums.js';
import { SealTable } from './tables/seals.js';
import { hasNoTables } from './soundness/expected-tables.js';
import {
  bringUpToDate,
  newestVersion,
  requireKnownVersion,
  requireNewest,
  versionOf,
} from './versions.js';

const CACHE_BYTES = 6 << 20;
/**
 * Number of bytes of a catalog that are compared with its checksums before a session begins. Each session compares
 * another part, which takes a millisecond or two.
 */
const COMPARED_AT_ONCE_BYTES: number = 1 << 20;
/** Names in a client's directory (docs/inside/formats.md): packs, keys, and the first level of large contents. */
const PACKS = 'packs';
const KEYS = 'keys';
const OBJECTS = /^[0-9a-f]{2}$/;

export interface WritingOptions {
  readonly cacheBytes?: number | undefined;
  /** False to reject a catalog of an earlier version. */
  readonly mayUpgrade?: boolean | undefined;
  /**
   * False to keep no page checksums. Used for a catalog that is renamed when it is complete, and gets its checksums
   * then.
   */
  readonly keepsSums?: boolean | undefined;
  /** Called when the catalog is open but nothing has been written yet. */
  readonly beforeWriting?: ((database: SqlDatabase) => void) | undefined;
}

/** A catalog opened for writing. */
export interface WrittenCatalog {
  readonly database: SqlDatabase;
  /** Its page checksums; undefined if there are none that can be trusted. */
  readonly sums: PageSums | undefined;
}

/**
 * Opens a catalog for writing as `openForWriting` does, and keeps the page checksums. It also throws CATALOG_DAMAGED if
 * pages are damaged, or if the log beside the catalog belongs to another file. In a catalog with seals, it also throws
 * CATALOG_DAMAGED if another program has changed pages, since readers would reject a set based on such a change.
 */
export function openWithSums(
  system: System,
  catalogPath: string,
  options: WritingOptions = {},
): WrittenCatalog {
  if (options.keepsSums === false) {
    return { database: openForWriting(system, catalogPath, options), sums: undefined };
  }
  const { files } = system;
  const isNew = (files.status(catalogPath)?.sizeBytes ?? 0) === 0;
  if (isNew) PageSums.forget(files, catalogPath);
  const before = isNew ? undefined : PageSums.read(files, catalogPath);
  const share = system.random.bytes(4).readUInt32LE() / 2 ** 32;
  const damage = before?.damageInPart(COMPARED_AT_ONCE_BYTES, share) ?? 0;
  if (damage > 0) throw pagesDamaged(catalogPath, damage);
  const isUnknown = !isNew && before === undefined;
  const beforeWriting = isUnknown ? forgetUnknown(system, catalogPath) : undefined;
  const database = openForWriting(system, catalogPath, { ...options, beforeWriting });
  try {
    const sums = isNew ? PageSums.begin(files, catalogPath) : before;
    sums?.noteStamp();
    return { database, sums };
  } catch (error) {
    database.close();
    throw asTardisError(error, `opening ${catalogPath}`, 'writeStore');
  }
}

/**
 * Prepares a catalog without known checksums. Returns a function that must be called before the first write. It deletes
 * the checksums of an earlier state, which would not match the new pages. Throws CATALOG_DAMAGED if the log beside the
 * catalog belongs to another file. The returned function throws it if another program has changed a catalog with seals.
 */
function forgetUnknown({ files }: System, catalogPath: string): (database: SqlDatabase) => void {
  const mixed = PageSums.mixedWithLog(files, catalogPath);
  if (mixed > 0) throw logOfAnother(catalogPath, mixed);
  const changed = PageSums.changedByOthers(files, catalogPath);
  return (database) => {
    const hasSeals = (): boolean => versionOf(database) > 0 && new SealTable(database).isAny;
    if (changed > 0 && hasSeals()) throw pagesChanged(catalogPath, changed);
    PageSums.forget(files, catalogPath);
  };
}

/** Returns the version of a catalog; 0 if the client has no backup yet. Throws the errors of `openForReading`. */
export function catalogVersion(system: System, catalogPath: string): number {
  if (isUnusedClient(system, catalogPath)) return 0;
  using database = openForReading(system, catalogPath);
  return versionOf(database);
}

/**
 * True if a catalog has the newest version; false if it has an earlier version, or the client has no backup yet. Throws
 * the errors of `openForReading`.
 */
export function hasNewestVersion(system: System, catalogPath: string): boolean {
  return catalogVersion(system, catalogPath) === newestVersion(system);
}

/**
 * Opens a catalog for writing, and creates or upgrades it. Throws CATALOG_NEWER for a later version, CATALOG_OLDER for
 * an earlier version if `mayUpgrade` is false, and CATALOG_DAMAGED for a damaged file or other tables.
 */
export function openForWriting(
  system: System,
  catalogPath: string,
  { cacheBytes = CACHE_BYTES, mayUpgrade = true, beforeWriting }: WritingOptions = {},
): SqlDatabase {
  let database: SqlDatabase | undefined;
  try {
    database = system.openDatabase(catalogPath, { readonly: false });
    database.extend(); // first, so that an error below leaves the log, too
    requireKnownVersion(system, database, catalogPath);
    if (!mayUpgrade) requireNewest(system, database, catalogPath);
    beforeWriting?.(database);
    // WAL first: the schema must not be durable before the journal mode is.
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('wal_autocheckpoint = 0');
    database.pragma('journal_size_limit = 0'); // the log file is as large as its contents
    database.pragma(`cache_size = -${Math.floor(cacheBytes / 1024)}`);
    database.pragma('temp_store = MEMORY');
    bringUpToDate(system, database);
    return database;
  } catch (error) {
    database?.close();
    const reason = catalogNotOpened(system, catalogPath, error);
    throw asTardisError(reason, `opening ${catalogPath}`, 'writeStore');
  }
}

/**
 * Opens a catalog read-only. Throws CATALOG_NEWER for a later version. Throws CATALOG_DAMAGED if the catalog is
 * damaged, or missing although the client has data; CONFIG_INVALID if there is a catalog of another name instead.
 */
export function openForReading(system: System, catalogPath: string): SqlDatabase {
  if (isUnusedClient(system, catalogPath)) return openEmpty(system);
  if (system.files.status(catalogPath) === undefined) {
    throw missing(system, catalogPath);
  }
  try {
    return openChecked(system, catalogPath, () =>
      system.openDatabase(catalogPath, { readonly: true }),
    );
  } catch (error) {
    if (!needsCopy(error)) {
      const reason = catalogNotOpened(system, catalogPath, error);
      throw asTardisError(reason, `opening ${catalogPath}`, 'readStore');
    }
    return openCopied(system, catalogPath, error);
  }
}

/**
 * Returns the error for a missing catalog. If the directory has a catalog of another name, the configured name may be
 * wrong although nothing is damaged, and the error reports this.
 */
function missing({ files }: System, catalogPath: string): TardisError {
  const [directory, name] = [path.dirname(catalogPath), path.basename(catalogPath)];
  const other = files.list(directory).find((one) => one.endsWith('.db') && one !== CHECKED_FILE);
  if (other === undefined) {
    return new TardisError('CATALOG_DAMAGED', `the catalog ${catalogPath} is missing`);
  }
  const why = `there is no catalog "${name}" in ${directory}, but "${other}"`;
  return new TardisError('CONFIG_INVALID', `${why}: look at DBName (TARDIS_DBNAME)`);
}

/**
 * True if a client has no catalog, or one without tables, and no data that would need one. It was created, but
 * its first backup has not begun, or was killed at its beginning.
 */
export function isUnusedClient(system: System, catalogPath: string): boolean {
  const { files } = system;
  const directory = path.dirname(catalogPath);
  if (files.status(directory) === undefined) return false;
  const copy = `${path.basename(catalogPath)}.`;
  const hasNothing = files.list(directory).every((name) => {
    if (name === PACKS) return files.list(path.join(directory, name)).every((one) => one === KEYS);
    return !name.startsWith(copy) && !OBJECTS.test(name);
  });
  return hasNothing && !isCatalogLost(system, catalogPath) && isWithoutTables(system, catalogPath);
}

/**
 * True if a client has no catalog, but files that a session creates only after the catalog. The catalog was
 * lost, and its packs may have been too.
 */
export function isCatalogLost({ files }: System, catalogPath: string): boolean {
  if ((files.status(catalogPath)?.sizeBytes ?? 0) > 0) return false;
  const directory = path.dirname(catalogPath);
  return [PACKS, RESERVE_FILE].some(
    (name) => files.status(path.join(directory, name)) !== undefined,
  );
}

/** True if the catalog has no tables or does not exist. */
function isWithoutTables(system: System, catalogPath: string): boolean {
  if ((system.files.status(catalogPath)?.sizeBytes ?? 0) === 0) return true;
  let database: SqlDatabase | undefined;
  try {
    database = system.openDatabase(catalogPath, { readonly: true });
    return versionOf(database) === 0 && hasNoTables(database);
  } catch {
    return false; // opening the catalog later reports the error
  } finally {
    database?.close();
  }
}

/** Opens a temporary catalog without sets, which is deleted on closing. */
export function openEmpty(system: System): SqlDatabase {
  using folder = new PrivateFolder(system);
  const file = folder.file('none.db');
  closeAfterWriting(openForWriting(system, file), () => false);
  return system.openDatabase(file, { readonly: true }); // the open file stays readable after it is deleted
}

function openCopied(system: System, catalogPath: string, original: unknown): SqlDatabase {
  try {
    return openChecked(system, catalogPath, () => {
      const database = openCopy(system, catalogPath);
      if (database === undefined) throw original;
      return database;
    });
  } catch (error) {
    throw asTardisError(error, `opening ${catalogPath}`, 'readStore');
  }
}

/**
 * Opens a database, and closes it again if it is not a catalog of a known version. Throws CATALOG_DAMAGED if it is
 * empty, and the errors of `requireKnownVersion`.
 */
function openChecked(system: System, catalogPath: string, open: () => SqlDatabase): SqlDatabase {
  const database = open();
  try {
    requireKnownVersion(system, database, catalogPath);
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
 * Ends a session: folds the log into the file, so that the file alone is the catalog. If the disk has no space for
 * that, the log stays beside the catalog, complete and durable. The end of the next session tries again.
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

/**
 * Sets the journal mode to TRUNCATE. While another process reads, the mode stays WAL, and the end of the next session
 * tries again.
 */
function toTruncate(database: SqlDatabase): void {
  try {
    database.pragma('journal_mode = TRUNCATE');
  } catch (error) {
    if (systemCode(error)?.startsWith('SQLITE_BUSY') !== true) throw error;
  }
}
