/** The files of a database: its own file, and those that lie beside it. */
import { OpenFd, type System, textBytes } from '../../system/index.js';

/** Suffixes of the files to be copied. The index of the log is left out, since SQLite can rebuild it. */
const COPIED_SUFFIXES = ['', '-wal', '-journal'] as const;
/** Suffixes of the files beside a database; the last one is that of a catalog's checksums. */
const SIDE_SUFFIXES = ['-wal', '-shm', '-journal', '-sums'] as const;
const COPY_BYTES = 1 << 20;
const NAME = Buffer.from('x');

/** Deletes a database and the files beside it. */
export function removeDatabase(system: System, file: string): void {
  removeSideFiles(system, file);
  if (system.files.status(file) !== undefined) system.files.unlink(file);
}

/** Deletes the files beside a database. */
export function removeSideFiles({ files }: System, database: string): void {
  for (const suffix of SIDE_SUFFIXES) {
    const file = database + suffix;
    if (files.status(file) !== undefined) files.unlink(file);
  }
}

/** Copies the files of a database. Returns false if they changed meanwhile, so that the copy is unusable. */
export function copyUnchanged(system: System, catalogPath: string, copy: string): boolean {
  const before = describe(system, catalogPath);
  for (const suffix of COPIED_SUFFIXES) copyFile(system, catalogPath + suffix, copy + suffix);
  return before.equals(describe(system, catalogPath));
}

/** Returns the status of the files, which changes with every write. */
function describe({ files, native }: System, catalogPath: string): Buffer {
  return Buffer.concat(
    COPIED_SUFFIXES.map((suffix) => {
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
