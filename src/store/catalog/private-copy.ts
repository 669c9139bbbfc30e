/**
 * Opens a copy of a catalog that was left in WAL mode. SQLite cannot open the catalog itself if it cannot create files
 * beside it: on a read-only file system, or without write permission. The copy is used only if the catalog did not
 * change while it was copied.
 */
import { isDiskFull, systemCode, TardisError } from '../../errors/index.js';
import { PrivateFolder, type SqlDatabase, type System } from '../../system/index.js';
import { copyUnchanged } from './database-files.js';

/** Folder of a file system in memory. Not every machine has one. */
const MEMORY = '/dev/shm';

/** True if SQLite failed because it could not open, create or write a file, also because of a full disk. */
export function needsCopy(error: unknown): boolean {
  const code = systemCode(error) ?? '';
  return (
    isDiskFull(error) || code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_READONLY')
  );
}

/**
 * Opens a copy, which is deleted on closing. Returns undefined if a session is writing to the catalog. If the folder
 * for temporary files is full, often because it is on the store's disk, the copy is made in memory. Throws
 * TEMPORARY_FULL if there is no space in memory either.
 */
export function openCopy(system: System, catalogPath: string): SqlDatabase | undefined {
  try {
    return copyTo(system, catalogPath, new PrivateFolder(system));
  } catch (error) {
    if (!isTemporaryFull(error)) throw error;
  }
  try {
    return copyTo(system, catalogPath, new PrivateFolder(system, MEMORY));
  } catch (error) {
    if (!isTemporaryFull(error)) throw error;
    const why = 'the catalog must be copied to be read, but TMPDIR is full, and so is';
    throw new TardisError('TEMPORARY_FULL', `${why} ${MEMORY}`, { path: MEMORY }, error);
  }
}

function isTemporaryFull(error: unknown): boolean {
  return error instanceof TardisError && error.code === 'TEMPORARY_FULL';
}

function copyTo(
  system: System,
  catalogPath: string,
  folder: PrivateFolder,
): SqlDatabase | undefined {
  const copy = folder.file('copy.db');
  try {
    if (!copyUnchanged(system, catalogPath, copy)) return undefined;
    const writer = system.openDatabase(copy, { readonly: false });
    try {
      writer.pragma('journal_mode = TRUNCATE');
    } finally {
      writer.close();
    }
    // An open file stays readable after it is deleted.
    return system.openDatabase(copy, { readonly: true });
  } catch (error) {
    throw folder.explain(error);
  } finally {
    folder.remove();
  }
}
