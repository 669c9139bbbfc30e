/** The files of a database: its own file, and those that lie beside it. */
import { systemCode } from '../../errors/index.js';
import { OpenFd, type System, textBytes, unlinkIfThere } from '../../system/index.js';

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
  const before = describe(system, catalogPath);
  for (const suffix of COPIED_SUFFIXES) copyFile(system, catalogPath + suffix, copy + suffix);
  return before.equals(describe(system, catalogPath));
}

/** Returns the status of the files, which changes with every write. */
function describe({ native }: System, catalogPath: string): Buffer {
  return Buffer.concat(
    COPIED_SUFFIXES.map((suffix) => {
      const file = textBytes(catalogPath + suffix);
      return ifThere(() => native.statRow(file, NAME)) ?? Buffer.from('none');
    }),
  );
}

/** Returns undefined if the file of `work` is missing. SQLite deletes a log whenever its last connection closes. */
function ifThere<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
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
