/** Writes a file that gets its name only when it is complete, and on the disk. */
import path from 'node:path';
import { during, failedTo, TardisError, usageError } from '../../errors/index.js';
import { ByteSink, explainedWhenFull } from '../../restore/index.js';
import {
  type FileStatus,
  outputPath,
  type System,
  textBytes,
  unlinkIfThere,
} from '../../system/index.js';
import { temporaryName } from '../../workers/index.js';

interface WholeFile {
  readonly file: string;
  readonly mayReplace: boolean;
  /** Its name while it is written, in the same directory. A file that a killed run left there is removed. */
  readonly temporary?: string;
}

/**
 * Throws TARGET_EXISTS if a file has the name of a new one, USAGE if something else has it, TARGET_NOT_WRITABLE if that
 * cannot be found out.
 */
function requireFree({ files }: System, file: string, mayReplace: boolean): void {
  let taken: FileStatus | undefined;
  try {
    taken = files.status(file);
  } catch (error) {
    throw notCreated(file, error);
  }
  if (taken !== undefined && !taken.isFile) {
    throw usageError(`${file} is no plain file: name a new file, or - for a pipe`);
  }
  if (taken !== undefined && !mayReplace) {
    throw new TardisError('TARGET_EXISTS', `${file} exists already`);
  }
}

function notCreated(file: string, error: unknown): unknown {
  return failedTo(`create ${file}`, error, 'writeTarget');
}

/**
 * Writes a file, and returns what `write` returns. Only its owner may read it, whatever default ACL its directory has. Throws
 * TARGET_EXISTS, TARGET_NOT_WRITABLE, TARGET_FULL, TARGET_UNSAFE.
 */
export async function writeWholeFile<T>(
  system: System,
  { file: name, mayReplace, temporary: given }: WholeFile,
  write: (sink: ByteSink) => Promise<T>,
): Promise<T> {
  const { files, native } = system;
  const file = outputPath(textBytes(name));
  requireFree(system, file, mayReplace);
  const directory = path.dirname(file);
  const beside = path.join(directory, given ?? temporaryName(system, '.tardis-'));
  const temporary = outputPath(textBytes(beside));
  let fd: number;
  try {
    unlinkIfThere(files, temporary);
    fd = files.open(temporary, 'createSecret'); // it has everybody's files
    native.dropInherited(fd);
  } catch (error) {
    throw notCreated(file, error);
  }
  let isWhole = false;
  try {
    let position = 0;
    const sink = new ByteSink(async (bytes) => {
      during('writeTarget', () => files.write(fd, bytes, position));
      position += bytes.length;
    });
    const written = await write(sink);
    await files.sync(fd);
    during('writeTarget', () => files.rename(temporary, file));
    isWhole = true;
    await files.syncDirectory(directory);
    return written;
  } catch (error) {
    throw explainedWhenFull(system, textBytes(directory), error);
  } finally {
    files.close(fd);
    if (!isWhole) files.unlink(temporary);
  }
}
