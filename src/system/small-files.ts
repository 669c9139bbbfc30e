/** Small files: read at once, and written so that a crash leaves the old one or the new one, never half of one. */
import path from 'node:path';
import type { Files } from './files.js';

/** The first `maxBytes` of a file; undefined: nothing has this path. */
export function readStart(files: Files, file: string, maxBytes: number): Buffer | undefined {
  const status = files.status(file);
  if (status === undefined) return undefined;
  const bytes = Buffer.alloc(Math.min(status.sizeBytes, maxBytes));
  const fd = files.open(file, 'read');
  try {
    return bytes.subarray(0, files.read(fd, bytes, 0, bytes.length, 0));
  } finally {
    files.close(fd);
  }
}

/** Makes a file whose content is on the disk when this returns; its name may not be. `prepare`: while it is empty. */
export async function writeNew(
  files: Files,
  file: string,
  bytes: Uint8Array,
  prepare?: (fd: number) => void,
): Promise<void> {
  const fd = files.open(file, 'create');
  try {
    prepare?.(fd);
    files.write(fd, bytes, 0);
    await files.sync(fd);
  } finally {
    files.close(fd);
  }
}

/** A file takes the place of what has its name, if anything, in one step; durable when this returns. */
export async function replaceFile(
  files: Files,
  file: string,
  bytes: Uint8Array,
  prepare?: (fd: number) => void,
): Promise<void> {
  const temporary = `${file}.new`;
  // Of an interrupted one, or somebody's link.
  if (files.status(temporary) !== undefined || files.isLink(temporary)) files.unlink(temporary);
  await writeNew(files, temporary, bytes, prepare);
  files.rename(temporary, file);
  await files.syncDirectory(path.dirname(file));
}
