/**
 * A copy of a catalog as of one moment, taken without the client's lock: nobody is kept out, and a question that takes
 * long holds up no session.
 */
import { asTardisError, TardisError } from '../errors/index.js';
import type { System } from '../system/index.js';
import { copyUnchanged } from './private-copy.js';

/** How often a copy is begun anew because somebody wrote meanwhile. */
const MAX_COPIES = 3;

/**
 * Makes `target` (which must not exist; its folder is the caller's alone) a copy that needs no file beside it. Where a session writes,
 * SQLite copies: in WAL mode its readers hold nobody up. Throws CATALOG_DAMAGED, CLIENT_BUSY, DISK_FULL.
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
      removeCopy(system, target);
    }
    copyByReading(system, catalogPath, target);
  } catch (error) {
    throw asTardisError(error, `copying ${catalogPath}`);
  }
}

/** What stands in its log goes into the file. */
function foldCopy(system: System, copy: string): void {
  const database = system.openDatabase(copy, { readonly: false });
  try {
    database.pragma('journal_mode = TRUNCATE');
  } finally {
    database.close();
  }
}

function copyByReading(system: System, catalogPath: string, target: string): void {
  const database = system.openDatabase(catalogPath, { readonly: true });
  try {
    if (database.pragma('journal_mode', { simple: true }) !== 'wal') {
      throw new TardisError('CLIENT_BUSY', `${catalogPath} changes while it is read`);
    }
    database.prepare('VACUUM INTO ?').run(target);
  } finally {
    database.close();
  }
}

function removeCopy({ files }: System, copy: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) {
    if (files.status(copy + suffix) !== undefined) files.unlink(copy + suffix);
  }
}
