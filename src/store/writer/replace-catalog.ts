/**
 * Replaces a catalog with a finished one in one step, so that after any interruption one of them can be read. The side
 * files of the old catalog, above all its log, must be durably removed first. SQLite would otherwise apply them to the
 * new catalog.
 */
import path from 'node:path';
import { ifPossible, isBadSector, systemCode } from '../../errors/index.js';
import { type SqlDatabase, type System, textBytes } from '../../system/index.js';
import { catalogVersion, newestVersion, PageSums, removeSideFiles } from '../catalog/index.js';
import type { ClientDirectory } from '../index.js';
import { type StoreLimits, withWriter } from './store-writer.js';

/**
 * Renames the closed database `fresh` to the catalog's path; durable when it returns. The old catalog is kept under
 * `keptPath`, if that is given and no file has this name.
 */
export async function replaceCatalog(
  system: System,
  fresh: string,
  catalogPath: string,
  keptPath: string | undefined,
): Promise<void> {
  const { files } = system;
  const directory = path.dirname(catalogPath);
  const isThere = files.status(catalogPath) !== undefined;
  const isKept = isThere && keptPath !== undefined && files.status(keptPath) === undefined;
  const isWhole = isThere && foldsLog(system, catalogPath);
  if (isKept && !(isWhole && links(system, directory, catalogPath, keptPath))) {
    moveAside(system, catalogPath, keptPath);
  } else if (isThere && !isWhole) {
    // A catalog without its log is useless, and so is the log without its catalog.
    files.unlink(catalogPath);
  }
  await files.syncDirectory(directory);
  removeSideFiles(system, catalogPath);
  removeSideFiles(system, fresh);
  await files.syncDirectory(directory);
  files.rename(fresh, catalogPath);
  await files.syncDirectory(directory);
  PageSums.takeAll(files, catalogPath);
}

/**
 * Folds the log of a catalog into its file. Returns false if the catalog is damaged or on a bad sector, or if another process
 * reads it.
 */
function foldsLog(system: System, catalogPath: string): boolean {
  let database: SqlDatabase | undefined;
  try {
    database = system.openDatabase(catalogPath, { readonly: false });
    database.pragma('wal_checkpoint(TRUNCATE)');
    return database.pragma('journal_mode = TRUNCATE', { simple: true }) === 'truncate';
  } catch (error) {
    if (systemCode(error)?.startsWith('SQLITE_') !== true && !isBadSector(error)) throw error;
    return false; // the catalog is about to be replaced
  } finally {
    database?.close();
  }
}

/**
 * Gives the catalog a second name by a hard link, so that the first name exists at any time. Returns false if the file
 * system has no hard links.
 */
function links(system: System, directory: string, from: string, to: string): boolean {
  const { native } = system;
  const fd = native.openDirectory(textBytes(directory));
  try {
    const names = [from, to].map((file) => textBytes(path.basename(file)));
    const link = (): true => {
      native.linkAt(fd, names[0]!, fd, names[1]!);
      return true;
    };
    return ifPossible(link) ?? false; // the caller moves the catalog instead
  } finally {
    native.close(fd);
  }
}

function moveAside({ files }: System, catalogPath: string, keptPath: string): void {
  for (const suffix of ['-wal', '']) {
    const from = catalogPath + suffix;
    if (files.status(from) !== undefined) files.rename(from, keptPath + suffix);
  }
}

export interface CatalogUpgrade {
  /** The version before the upgrade; 0 if the client has no catalog yet. */
  readonly from: number;
  /** The newest version. */
  readonly to: number;
  /** True if the catalog was upgraded. */
  readonly isDone: boolean;
}

/**
 * Upgrades the catalog of a client to the newest version; with `rehearse` it only returns what it would do. Throws
 * CATALOG_NEWER, CATALOG_DAMAGED, CLIENT_BUSY and the errors of `StoreWriter.open`.
 */
export async function upgradeCatalog(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  rehearse: boolean,
): Promise<CatalogUpgrade> {
  const from = catalogVersion(system, directory.catalogPath);
  const to = newestVersion(system);
  if (rehearse || from === 0 || from === to) return { from, to, isDone: false };
  await withWriter(system, directory, limits, () => Promise.resolve()); // opening upgrades it
  return { from, to, isDone: true };
}
