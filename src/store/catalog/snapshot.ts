/**
 * Copies a catalog as of one moment without taking the client's lock, so that a long query blocks no session.
 */
import { asTardisError, TardisError } from '../../errors/index.js';
import { catalogNotOpened } from '../index.js';
import type { System } from '../../system/index.js';
import { copyUnchanged, removeDatabase } from './database-files.js';

/** Maximum number of attempts to copy the files, if they change meanwhile. */
const MAX_COPIES = 3;

/**
 * Copies a catalog to `target`, which must not exist and whose folder must belong to the caller alone. The copy needs
 * no file beside it. If a session is writing, SQLite makes the copy, since its readers block no writer in WAL mode.
 * Throws CATALOG_DAMAGED if the catalog is missing or damaged, DISK_FULL if the disk of `target` is full, and
 * CLIENT_BUSY if a catalog outside WAL mode keeps changing.
 */
export function snapshotCatalog(system: System, catalogPath: string, target: string): void {
  const { files } = system;
  if (files.status(catalogPath) === undefined) {
    throw new TardisError('CATALOG_DAMAGED', `the catalog ${catalogPath} is missing`);
  }
  try {
    for (let copies = 0; copies < MAX_COPIES; copies += 1) {
      if (copyUnchanged(system, catalogPath, target)) {
        foldCopy(system, target);
        return;
      }
      removeDatabase(system, target);
    }
    copyByReading(system, catalogPath, target);
  } catch (error) {
    const reason = catalogNotOpened(system, catalogPath, error);
    throw asTardisError(reason, `copying ${catalogPath}`, 'readStore');
  }
}

/** Folds the log of the copy into its file. */
function foldCopy(system: System, copy: string): void {
  using database = system.openDatabase(copy, { readonly: false });
  database.pragma('journal_mode = TRUNCATE');
}

function copyByReading(system: System, catalogPath: string, target: string): void {
  using database = system.openDatabase(catalogPath, { readonly: true });
  if (database.pragma('journal_mode', { simple: true }) !== 'wal') {
    throw new TardisError('CLIENT_BUSY', `${catalogPath} changes while it is read`);
  }
  database.prepare('VACUUM INTO ?').run(target);
}
