/** The files of a database: its own file, and those that lie beside it. */
import {
  type Files,
  ifThere,
  OpenFd,
  type System,
  textBytes,
  unlinkIfThere,
} from '../../system/index.js';

/** Suffixes of the files to be copied. The index of the log is left out, since SQLite can rebuild it. */
const COPIED_SUFFIXES = ['', '-wal', '-journal'] as const;
/** Suffixes of the files beside a database; the last one is that of a catalog's checksums. */
const SIDE_SUFFIXES = ['-wal', '-shm', '-journal', '-sums'] as const;
const COPY_BYTES = 1 << 20;
const NAME = Buffer.from('x');

/** Deletes a database and the files beside it. */
export function removeDatabase(system: System, file: string): void {
  removeSideFiles(system, file);
  unlinkIfThere(system.files, file);
}

/** Deletes the files beside a database. */
export function removeSideFiles({ files }: System, database: string): void {
  for (const suffix of SIDE_SUFFIXES) unlinkIfThere(files, database + suffix);
}

/** Copies the files of a database. Returns false if they changed meanwhile, so that the copy is unusable. */
export function copyUnchanged(system: System, catalogPath: string, copy: string): boolean {
  const before = fingerprintOf(system, catalogPath);
  for (const suffix of COPIED_SUFFIXES) copyFile(system, catalogPath + suffix, copy + suffix);
  return fingerprintOf(system, catalogPath) === before;
}

/** Returns a text that is another one after every write to a catalog or its log. */
export function fingerprintOf({ native }: System, catalogPath: string): string {
  return COPIED_SUFFIXES.map((suffix) => {
    const file = textBytes(catalogPath + suffix);
    return ifThere(() => native.statRow(file, NAME))?.toString('latin1') ?? 'none';
  }).join();
}

function copyFile({ files }: System, from: string, to: string): void {
  const fd = ifThere(() => files.open(from, 'read'));
  if (fd === undefined) return;
  using source = new OpenFd(files, fd);
  using target = new OpenFd(files, files.open(to, 'create'));
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  for (let position = 0; ; ) {
    const bytes = files.read(source.fd, buffer, 0, COPY_BYTES, position);
    if (bytes === 0) break;
    files.write(target.fd, buffer.subarray(0, bytes), position);
    position += bytes;
  }
}

/** Returns the size in bytes of a database and its log; 0 if they are missing. */
export function databaseBytes(files: Pick<Files, 'status'>, database: string): number {
  return [database, `${database}-wal`].reduce(
    (sum, file) => sum + (files.status(file)?.sizeBytes ?? 0),
    0,
  );
}
