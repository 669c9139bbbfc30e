/**
 * A catalog that was left in WAL mode cannot be opened where SQLite may not make the files it needs
 * beside it: on a read-only file system, or without the permission to write. Then a copy is read,
 * provided that nothing has changed the catalog while it was copied.
 */
import { isDiskFull, systemCode, TardisError } from '../errors/index.js';
import { PrivateFolder, type SqlDatabase, type System, textBytes } from '../system/index.js';

/** What SQLite keeps of a database, besides the index of its log, which it can make anew. */
const SUFFIXES = ['', '-wal', '-journal'] as const;
/** A file system in memory; not there on every machine. */
const MEMORY = '/dev/shm';
const COPY_BYTES = 1 << 20;
const NAME = Buffer.from('x');

/** Whether SQLite failed for want of a place, or of room, to write. */
export function needsCopy(error: unknown): boolean {
  const code = systemCode(error) ?? '';
  return (
    isDiskFull(error) || code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_READONLY')
  );
}

/**
 * Opens a copy, which goes when it is closed. Undefined if somebody writes to the catalog. Throws DISK_FULL.
 * Where the place of temporary files is as full as the store (often it is the same disk), memory has to do.
 */
export function openCopy(system: System, catalogPath: string): SqlDatabase | undefined {
  try {
    return copyTo(system, catalogPath, new PrivateFolder(system.files));
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
  try {
    return copyTo(system, catalogPath, new PrivateFolder(system.files, MEMORY));
  } catch (error) {
    const why = 'the catalog must be copied to be read, but TMPDIR is full, and so is';
    throw new TardisError('DISK_FULL', `${why} ${MEMORY}`, { path: MEMORY }, error);
  }
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
    // An open file stays until it is closed, whatever becomes of its name.
    return system.openDatabase(copy, { readonly: true });
  } finally {
    folder.remove();
  }
}

/** Copies what SQLite keeps of a database. False: somebody wrote to it meanwhile, and the copy is worth nothing. */
export function copyUnchanged(system: System, catalogPath: string, copy: string): boolean {
  const before = describe(system, catalogPath);
  for (const suffix of SUFFIXES) copyFile(system, catalogPath + suffix, copy + suffix);
  return before.equals(describe(system, catalogPath));
}

/** What would not stay the same if somebody wrote. */
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
  const source = files.open(from, 'read');
  try {
    const target = files.open(to, 'create');
    try {
      const buffer = Buffer.allocUnsafe(COPY_BYTES);
      for (let position = 0; ; ) {
        const bytes = files.read(source, buffer, 0, COPY_BYTES, position);
        if (bytes === 0) break;
        files.write(target, buffer.subarray(0, bytes), position);
        position += bytes;
      }
    } finally {
      files.close(target);
    }
  } finally {
    files.close(source);
  }
}
