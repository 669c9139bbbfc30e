/** Describes a full disk: how much is free, and what is full instead of the disk. */
import { causeCode, systemCode } from '../errors/index.js';
import { formatBytes } from '../model/index.js';
import type { Files } from './files.js';

/** Number of free inodes with which a file system counts as having none. */
const FEW_INODES = 8;

/**
 * Returns a text such as `12 MB are free`, with a note if inodes or a quota are used up rather than the space. Returns
 * undefined if the file system of the directory cannot be measured.
 */
export function freeSpaceText(files: Files, directory: string, cause: unknown): string | undefined {
  try {
    const inodes =
      files.freeInodes(directory) > FEW_INODES
        ? ''
        : ', and it has as many files as it can hold (no inode is free)';
    const quota =
      causeCode(cause) === 'EDQUOT' ? ', but a quota of its file system is used up' : '';
    return `${formatBytes(files.freeBytes(directory))} are free${inodes}${quota}`;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
