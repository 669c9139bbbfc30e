/** Reads small files at once, and replaces them atomically: after a crash the old or the new file is complete. */
import path from 'node:path';
import { systemCode } from '../errors/index.js';
import { type Files, ifThere, OpenFd, unlinkIfThere } from './files.js';

/** Returns the first `maxBytes` of a file; undefined if the file does not exist. */
export function readStart(files: Files, file: string, maxBytes: number): Buffer | undefined {
  if (files.status(file) === undefined) return undefined;
  const fd = ifThere(() => files.open(file, 'read'));
  if (fd === undefined) return undefined; // it was deleted meanwhile
  using opened = new OpenFd(files, fd);
  const { sizeBytes } = files.statusOf(fd); // another file may have replaced the one that was looked at
  const bytes = Buffer.alloc(Math.min(sizeBytes, maxBytes));
  return bytes.subarray(0, files.read(opened.fd, bytes, 0, bytes.length, 0));
}

/** Makes a file or a directory if it is not there; another process may make it at the same time. */
export function makeUnlessThere(files: Files, path: string, make: () => void): void {
  try {
    if (files.status(path) === undefined) make();
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** Options for a new file. */
interface NewFile {
  /** True for a file that only its owner may read, whatever the umask of the store is. */
  readonly isSecret?: boolean;
  /** Runs while the file is empty. */
  readonly prepare?: (fd: number) => void;
}

/** Options for a file that may exist. */
interface ReplacedFile extends NewFile {
  /** Path of the same directory for the new file until it is durable; by default, the file's with `.new` after it. */
  readonly temporary?: string;
}

/** Creates a file. Its content is durable when the promise resolves; its name may not be. */
export async function writeNew(
  files: Files,
  file: string,
  bytes: Uint8Array,
  { isSecret = false, prepare }: NewFile = {},
): Promise<void> {
  using opened = new OpenFd(files, files.open(file, isSecret ? 'createSecret' : 'create'));
  prepare?.(opened.fd);
  files.write(opened.fd, bytes, 0);
  await files.sync(opened.fd);
}

/**
 * Writes a file and replaces an existing one of that name atomically. Durable when the promise resolves. Must not run
 * twice at one time for one file.
 */
export async function replaceFile(
  files: Files,
  file: string,
  bytes: Uint8Array,
  { temporary = `${file}.new`, ...how }: ReplacedFile = {},
): Promise<void> {
  // Left by an interrupted call, or a link that another user made.
  unlinkIfThere(files, temporary);
  await writeNew(files, temporary, bytes, how);
  files.rename(temporary, file);
  await files.syncDirectory(path.dirname(file));
}
