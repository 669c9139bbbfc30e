/**
 * A finished catalog takes the place of another in one step: whatever ends the work, there is one that can
 * be read. What belongs to the old one (its log above all) must be gone for good before: SQLite would
 * take it for the new one's.
 */
import path from 'node:path';
import { systemCode } from '../errors/index.js';
import { type SqlDatabase, type System, textBytes } from '../system/index.js';

const SIDE_SUFFIXES = ['-wal', '-shm', '-journal'] as const;

/**
 * Renames `fresh`, which is closed, to be the catalog; durable when it returns. The one that is there is
 * kept under `keptPath`, if that is given and nothing has the name.
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
    // Without its log it is nothing, and its log without it is nothing either.
    files.unlink(catalogPath);
  }
  await files.syncDirectory(directory);
  removeSideFiles(system, catalogPath);
  removeSideFiles(system, fresh);
  await files.syncDirectory(directory);
  files.rename(fresh, catalogPath);
  await files.syncDirectory(directory);
}

/** Removes a catalog with what belongs to it. */
export function removeDatabase(system: System, catalogPath: string): void {
  removeSideFiles(system, catalogPath);
  if (system.files.status(catalogPath) !== undefined) system.files.unlink(catalogPath);
}

/** Puts all of a catalog into its file. False where that cannot be: it is damaged, or somebody reads it. */
function foldsLog(system: System, catalogPath: string): boolean {
  let database: SqlDatabase | undefined;
  try {
    database = system.openDatabase(catalogPath, { readonly: false });
    database.pragma('wal_checkpoint(TRUNCATE)');
    return database.pragma('journal_mode = TRUNCATE', { simple: true }) === 'truncate';
  } catch (error) {
    if (systemCode(error)?.startsWith('SQLITE_') !== true) throw error;
    return false; // it is about to be replaced
  } finally {
    database?.close();
  }
}

/** A second name, so that the first one is never without a file. False where the file system knows none. */
function links(system: System, directory: string, from: string, to: string): boolean {
  const { native } = system;
  const fd = native.openDirectory(textBytes(directory));
  try {
    const names = [from, to].map((file) => textBytes(path.basename(file)));
    native.linkAt(fd, names[0]!, fd, names[1]!);
    return true;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false; // then it is moved
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

function removeSideFiles({ files }: System, catalogPath: string): void {
  for (const suffix of SIDE_SUFFIXES) {
    const file = catalogPath + suffix;
    if (files.status(file) !== undefined) files.unlink(file);
  }
}
