/**
 * Converts the settings of `tardis` to its filters. Reads all files first, so that all errors in them are reported
 * together.
 */
import type { Settings } from '../../config/index.js';
import { failedTo } from '../../errors/index.js';
import {
  cryptFilter,
  type CipherChoice,
  fileFilter,
  type FilterFile,
  MAX_FILTER_FILE_BYTES,
} from '../../excludes/index.js';
import { displayName } from '../../model/index.js';
import { absolutePath, readSmallFile } from '../../system/index.js';

/** Returns the filter file, if one is set. Throws CONFIG_INVALID with file and line. */
export function filterFileOf({ filterFile }: Settings<'tardis'>): FilterFile | undefined {
  const file = filterFile && readFilter(filterFile);
  fileFilter(file);
  return file;
}

/** Returns the rules for encrypting contents; undefined for the default. Throws CONFIG_INVALID. */
export function cipherChoiceOf({
  cryptFilterFile,
  defaultCrypt,
}: Settings<'tardis'>): CipherChoice | undefined {
  if (cryptFilterFile === undefined && defaultCrypt === 'auto') return undefined;
  const choice = { file: cryptFilterFile && readFilter(cryptFilterFile), otherwise: defaultCrypt };
  cryptFilter(choice);
  return choice;
}

function readFilter(given: Buffer): FilterFile {
  const place = absolutePath(given);
  try {
    // The bytes are copied into a buffer of their own, since each job transfers the whole underlying memory.
    const bytes = new Uint8Array(readSmallFile(place, MAX_FILTER_FILE_BYTES));
    return { path: place.toString('latin1'), bytes };
  } catch (error) {
    throw failedTo(`read the filters in ${displayName(place)}`, error, 'useNamedFile');
  }
}
