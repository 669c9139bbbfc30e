/** Describes a full disk: how much is free, and what is full instead of the disk. */
import path from 'node:path';
import { asTardisError, causeCode, ifPossible, systemCode, TardisError } from '../errors/index.js';
import { formatBytes } from '../model/index.js';
import type { Files } from './files.js';

/** Number of free inodes with which a file system counts as having none. */
const FEW_INODES = 8;

/**
 * Returns a text such as `12 MB are free`, with a note if inodes or a quota are used up rather than the space. Returns
 * undefined if the file system of the directory cannot be measured.
 */
export function freeSpaceText(files: Files, directory: string, cause: unknown): string | undefined {
  return ifPossible(() => {
    const inodes =
      files.freeInodes(directory) > FEW_INODES
        ? ''
        : ', and it has as many files as it can hold (no inode is free)';
    const quota =
      causeCode(cause) === 'EDQUOT' ? ', but a quota of its file system is used up' : '';
    return `${formatBytes(files.freeBytes(directory))} are free${inodes}${quota}`;
  });
}

/**
 * Returns the error of a failed write of a file or directory of a store. On a full disk the message has the free space,
 * and what is full instead of it. A TardisError is returned unchanged.
 */
export function failedStoreWrite(
  files: Files,
  file: string,
  thrown: unknown,
  doing = `writing ${file}`,
): TardisError {
  const error = asTardisError(thrown, doing, 'writeStore');
  if (systemCode(thrown) === undefined || error.code !== 'DISK_FULL') return error;
  // The file, and directories above it, may be what could not be created.
  for (let place = file; ; place = path.dirname(place)) {
    const free = freeSpaceText(files, place, error);
    if (free !== undefined)
      return new TardisError('DISK_FULL', `${error.message}: ${free}`, error.context, thrown);
    if (place === path.dirname(place)) return error;
  }
}
