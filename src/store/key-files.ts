/**
 * The key records of a client, as files: `keys/00000001.key` and so on, of which the highest number
 * counts. None is ever replaced, and no session removes one, so it cannot take the owner's keys from him.
 * What a record says is for src/crypto; here it is bytes.
 */
import path from 'node:path';
import { asTardisError, TardisError } from '../errors/index.js';
import { type Files, readStart, replaceFile, type System } from '../system/index.js';
import { KEYS_DIRECTORY, keyFileName, keyFileNumber } from './layout.js';

const MAX_KEY_FILE_BYTES = 64 << 10;
/** A hostile session could fill a disk with them. */
const MAX_KEY_FILES = 1024;

export interface StoredKeys {
  readonly number: number;
  readonly bytes: Buffer;
}

/** Whether a directory has a place for key records. */
export function hasKeys({ files }: System, directory: string): boolean {
  return files.status(path.join(directory, KEYS_DIRECTORY)) !== undefined;
}

/** The newest key record of a client (or of any directory that holds some). Throws STORE_NOT_READABLE. */
export function newestKeys({ files }: System, directory: string): StoredKeys | undefined {
  try {
    const folder = path.join(directory, KEYS_DIRECTORY);
    if (files.status(folder) === undefined) return undefined;
    const number = Math.max(0, ...numbersIn(files, folder));
    if (number === 0) return undefined;
    return { number, bytes: readKeyFile(files, path.join(folder, keyFileName(number))) };
  } catch (error) {
    throw new TardisError('STORE_NOT_READABLE', `cannot read the keys in ${directory}`, {}, error);
  }
}

function numbersIn(files: Files, folder: string): number[] {
  return files.list(folder).flatMap((name) => keyFileNumber(name) ?? []);
}

function readKeyFile(files: Files, file: string): Buffer {
  const bytes = readStart(files, file, MAX_KEY_FILE_BYTES + 1); // too long shows as such
  if (bytes === undefined) throw new Error(`${file} is gone`);
  return bytes;
}

/** Removes the key records of what is no client (yet). */
export function dropKeys({ files }: System, directory: string): void {
  const folder = path.join(directory, KEYS_DIRECTORY);
  if (files.status(folder) === undefined) return;
  for (const number of numbersIn(files, folder)) {
    files.unlink(path.join(folder, keyFileName(number)));
  }
}

/**
 * Removes the key records before one, durably: their keys are in a file of the owner's, who wants them
 * nowhere else. Returns how many there were. Call with the client's lock held.
 */
export async function removeOlderKeys(
  { files }: System,
  directory: string,
  before: number,
): Promise<number> {
  const folder = path.join(directory, KEYS_DIRECTORY);
  try {
    const older = numbersIn(files, folder).filter((number) => number < before);
    for (const number of older) files.unlink(path.join(folder, keyFileName(number)));
    await files.syncDirectory(folder);
    return older.length;
  } catch (error) {
    throw asTardisError(error, `removing key records in ${folder}`);
  }
}

/**
 * Adds a key record, durable when it returns. Call with the client's lock held, or before the client is
 * there. Throws KEYS_DAMAGED when a file of that number is there, NOT_PERMITTED when there are too many.
 */
export async function addKeys(
  { files }: System,
  directory: string,
  { number, bytes }: StoredKeys,
): Promise<void> {
  const folder = path.join(directory, KEYS_DIRECTORY);
  const file = path.join(folder, keyFileName(number));
  try {
    if (files.status(folder) === undefined) files.makeDirectory(folder);
    const numbers = numbersIn(files, folder);
    if (numbers.length >= MAX_KEY_FILES) {
      throw new TardisError('NOT_PERMITTED', `the client has ${numbers.length} key records`);
    }
    if (numbers.includes(number)) throw new TardisError('KEYS_DAMAGED', `${file} is there already`);
    await replaceFile(files, file, bytes);
    await files.syncDirectory(directory);
  } catch (error) {
    throw asTardisError(error, `writing ${file}`);
  }
}
