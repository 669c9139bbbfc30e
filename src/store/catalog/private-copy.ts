/**
 * Opens a copy of a catalog that was left in WAL mode. SQLite cannot open the catalog itself if it cannot create files
 * beside it: on a read-only file system, or without write permission. The copy is used only if the catalog did not
 * change while it was copied.
 */
import { isDiskFull, systemCode, TardisError } from '../../errors/index.js';
import {
  OpenFd,
  PrivateFolder,
  type SqlDatabase,
  type System,
  textBytes,
} from '../../system/index.js';

/** Suffixes of the files of a database. The index of the log is left out, since SQLite can rebuild it. */
const SUFFIXES = ['', '-wal', '-journal'] as const;
/** Folder of a file system in memory. Not every machine has one. */
const MEMORY = '/dev/shm';
const COPY_BYTES = 1 << 20;
const NAME = Buffer.from('x');

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

/** Copies the files of a database. Returns false if they changed meanwhile, so that the copy is unusable. */
export function copyUnchanged(system: System, catalogPath: string, copy: string): boolean {
  const before = describe(system, catalogPath);
  for (const suffix of SUFFIXES) copyFile(system, catalogPath + suffix, copy + suffix);
  return before.equals(describe(system, catalogPath));
}

/** Returns the status of the files, which changes with every write. */
function describe({ files, native }: System, catalogPath: string): Buffer {
  return Buffer.concat(
    SUFFIXES.map((suffix) => {
      const file = catalogPath + suffix;
      if (files.status(file) === undefined) return Buffer.from('none');
      return native.statRow(textBytes(file), NAME);
    }),
  );
}

function copyFile({ files }: System, from: string, to: string): void {
  if (files.status(from) === undefined) return;
  using source = new OpenFd(files, files.open(from, 'read'));
  using target = new OpenFd(files, files.open(to, 'create'));
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  for (let position = 0; ; ) {
    const bytes = files.read(source.fd, buffer, 0, COPY_BYTES, position);
    if (bytes === 0) break;
    files.write(target.fd, buffer.subarray(0, bytes), position);
    position += bytes;
  }
}
