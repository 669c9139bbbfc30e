/**
 * Key records of a client, stored as files: `keys/00000001.key` and so on. The one with the highest number is in force.
 * No file is ever replaced and no session removes one, so a session cannot lock the owner out. The newest record has a
 * copy in `packs/keys/` (docs/inside/formats.md, "Key records"). This file treats records as bytes; src/crypto reads them.
 */
import path from 'node:path';
import { crc32 } from 'node:zlib';
import {
  asTardisError,
  failedTo,
  isBadSector,
  noSuchObject,
  TardisError,
} from '../../errors/index.js';
import {
  failedStoreWrite,
  type Files,
  ifThere,
  readStart,
  replaceFile,
  type System,
} from '../../system/index.js';
import { type NeededKeys, readFormat, writeFormat } from '../layout/format-file.js';
import {
  KEY_COPIES_DIRECTORY,
  KEYS_DIRECTORY,
  keyFileName,
  keyFileNumber,
} from '../layout/layout.js';

export const MAX_KEY_FILE_BYTES: number = 64 << 10;
/** Maximum number of key records. Without a limit a hostile session could fill the disk with records. */
const MAX_KEY_FILES = 1024;
/**
 * Offsets in a key record: whether it encrypts, its number, the start and end of the id of its keys. The last constant
 * is the length of the checksum at the record's end.
 */
const ENCRYPTS_AT = 11;
const NUMBER_AT = 12;
const KEYSET_AT = 16;
const KEYSET_END = 32;
const CRC_BYTES = 4;

export interface StoredKeys {
  readonly number: number;
  readonly bytes: Buffer;
}

/** Both directories of key records: the records, and the copy of the newest one. */
const PLACES = [KEYS_DIRECTORY, KEY_COPIES_DIRECTORY] as const;

/**
 * True if a directory has a key record, intact or not, or belongs to a client that has lost its key records. If setting
 * a first password was interrupted, a folder without a record remains. Such a folder locks nobody out.
 */
export function hasKeys(system: System, directory: string): boolean {
  const isThere = (place: string): boolean =>
    numbersIn(system.files, path.join(directory, place)).length > 0;
  return PLACES.some(isThere) || lostKeys(system, directory) !== 'none';
}

/**
 * Returns the newest key record of a client (or of any directory with key records). This is the record with the highest
 * number in either place. If one of its two files is intact, that one is returned. If neither is, the damaged record is
 * returned, and the reader refuses it. An older record is never returned instead, since its password may have been
 * revoked. Returns undefined if the client has no password. Throws STORE_NOT_READABLE if the files cannot be read, and
 * KEYS_LOST for a client that has lost its key records.
 */
export function newestKeys(
  { files }: Pick<System, 'files'>,
  directory: string,
): StoredKeys | undefined {
  const found = keysThere(files, directory);
  const needed = found === undefined ? lostKeys({ files }, directory) : 'none';
  if (needed === 'none') return found;
  const what = needed === 'encryption' ? 'and it encrypts' : 'and it has a password';
  const where = `no key record is left in ${path.join(directory, KEYS_DIRECTORY)} and ${KEY_COPIES_DIRECTORY}`;
  throw new TardisError('KEYS_LOST', `the keys of the client are lost: ${where}, ${what}`);
}

/** Returns the kind of key records that a client needs and has lost; `none` if nothing is lost. */
export function lostKeys({ files }: Pick<System, 'files'>, directory: string): NeededKeys {
  if (keysThere(files, directory) !== undefined) return 'none';
  return readFormat(files, directory)?.keys ?? 'none';
}

/** Returns the kind of key records that a client with this key record needs. */
export function neededBy(keys: StoredKeys | undefined): NeededKeys {
  if (keys === undefined) return 'none';
  return keys.bytes[ENCRYPTS_AT] === 0 ? 'password' : 'encryption';
}

/**
 * Returns the id of the keys of a client, in hexadecimal; empty if it has no password. Throws the errors of
 * `newestKeys`.
 */
export function keysetAt(system: Pick<System, 'files'>, directory: string): string {
  const bytes = newestKeys(system, directory)?.bytes;
  return bytes?.subarray(KEYSET_AT, KEYSET_END).toString('hex') ?? '';
}

/** True if a client has a key record that encrypts. */
export function hasEncryptingKeys({ files }: Pick<System, 'files'>, directory: string): boolean {
  return neededBy(keysThere(files, directory)) === 'encryption';
}

/**
 * Records in the format file the kind of key records that the client needs. The change is durable when the promise
 * resolves. Does nothing if the client has no format file, or needs no key records.
 */
export async function noteNeededKeys(
  { files }: Pick<System, 'files'>,
  directory: string,
  keys: NeededKeys,
): Promise<void> {
  const format = readFormat(files, directory);
  if (format === undefined || format.keys === keys || keys === 'none') return;
  await writeFormat(files, directory, { ...format, keys });
}

/** Maximum number of times that the records are read while a rewrite replaces them. */
const MOST_READS = 3;

function keysThere(files: Files, directory: string, reads = 1): StoredKeys | undefined {
  try {
    const folders = PLACES.map((place) => path.join(directory, place));
    const highest = (): number =>
      Math.max(0, ...folders.flatMap((folder) => numbersIn(files, folder)));
    const number = highest();
    if (number === 0) return undefined;
    let missing: unknown = noSuchObject(`key record ${number}`);
    const found = folders.flatMap((folder) => {
      try {
        const bytes = readStart(files, path.join(folder, keyFileName(number)), MAX_READ_BYTES);
        return bytes === undefined ? [] : [bytes];
      } catch (error) {
        if (!isBadSector(error)) throw error;
        missing = error; // its copy may be readable
        return [];
      }
    });
    const bytes = found.find((one) => isWhole(one, number)) ?? found[0];
    if (bytes !== undefined) return { number, bytes };
    const now = highest();
    if (now === 0) return undefined; // the account was removed meanwhile
    if (now !== number && reads < MOST_READS) return keysThere(files, directory, reads + 1);
    throw missing;
  } catch (error) {
    throw failedTo(`read the keys in ${directory}`, error, 'readStore');
  }
}

/**
 * Maximum number of bytes to read of a key record: one more than the limit, so that a file that is too long is
 * recognized.
 */
const MAX_READ_BYTES: number = MAX_KEY_FILE_BYTES + 1;

/** Returns a record; undefined if there is none, empty bytes if the disk cannot read it, since a copy replaces it. */
function readable(files: Files, file: string): Buffer | undefined {
  try {
    return readStart(files, file, MAX_READ_BYTES);
  } catch (error) {
    if (!isBadSector(error)) throw error;
    return Buffer.alloc(0);
  }
}

/** Returns the number in a key record; undefined for a damaged one. */
export function keyNumberIn(bytes: Buffer): number | undefined {
  if (bytes.length < NUMBER_AT + 4) return undefined;
  const number = bytes.readUInt32LE(NUMBER_AT);
  return isWhole(bytes, number) ? number : undefined;
}

/** True if a record has the right checksum and the number `number`, which its file name has. */
function isWhole(bytes: Buffer, number: number): boolean {
  const end = bytes.length - CRC_BYTES;
  if (end < NUMBER_AT + 4 || bytes.length > MAX_KEY_FILE_BYTES) return false;
  const isUnchanged = crc32(bytes.subarray(0, end)) === bytes.readUInt32LE(end);
  return isUnchanged && bytes.readUInt32LE(NUMBER_AT) === number;
}

/** Returns the numbers of the key records in a folder; none if the folder does not exist. */
function numbersIn(files: Files, folder: string): number[] {
  if (files.status(folder) === undefined) return [];
  const names = ifThere(() => files.list(folder)) ?? [];
  return names.flatMap((name) => keyFileNumber(name) ?? []);
}

/** Removes all key records of a directory that is not yet a client, or of a removed account. */
export function dropKeys({ files }: System, directory: string): void {
  for (const place of PLACES) {
    const folder = path.join(directory, place);
    for (const number of numbersIn(files, folder)) {
      files.unlink(path.join(folder, keyFileName(number)));
    }
  }
}

/** Removes the empty folders of an account's key records. */
export function dropKeyFolders({ files }: System, directory: string): void {
  for (const folder of [KEYS_DIRECTORY, KEY_COPIES_DIRECTORY, path.dirname(KEY_COPIES_DIRECTORY)]) {
    const full = path.join(directory, folder);
    if (files.status(full) !== undefined) files.removeDirectory(full);
  }
}

/**
 * Removes the key records with numbers below `before`, durably. It is used if the owner has the keys in a file and
 * needs no older records. Returns the number of records removed, without their copies. Call with the client's lock
 * held.
 */
export async function removeOlderKeys(
  { files }: System,
  directory: string,
  before: number,
): Promise<number> {
  let removed = 0;
  for (const place of PLACES) {
    const folder = path.join(directory, place);
    try {
      const older = numbersIn(files, folder).filter((number) => number < before);
      for (const number of older) files.unlink(path.join(folder, keyFileName(number)));
      if (files.status(folder) !== undefined) await files.syncDirectory(folder);
      if (place === KEYS_DIRECTORY) removed = older.length;
    } catch (error) {
      throw asTardisError(error, `removing key records in ${folder}`, 'writeStore');
    }
  }
  return removed;
}

/**
 * Adds a key record and its copy, durable when it resolves. Call with the client's lock held, or before the client
 * exists. Throws KEYS_DAMAGED if a file of that number exists, NOT_PERMITTED if there are too many records.
 */
export async function addKeys(
  system: System,
  directory: string,
  { number, bytes }: StoredKeys,
): Promise<void> {
  const { files } = system;
  const folder = path.join(directory, KEYS_DIRECTORY);
  const file = path.join(folder, keyFileName(number));
  try {
    if (files.status(folder) === undefined) files.makeDirectory(folder, true);
    const numbers = numbersIn(files, folder);
    if (numbers.length >= MAX_KEY_FILES) {
      throw new TardisError('NOT_PERMITTED', `the client has ${numbers.length} key records`);
    }
    if (numbers.includes(number)) throw new TardisError('KEYS_DAMAGED', `${file} is there already`);
    await replaceFile(files, file, bytes, { isSecret: true });
    await files.syncDirectory(directory);
  } catch (error) {
    throw failedStoreWrite(files, file, error);
  }
  await mendKeys(system, directory);
}

/** A file that differs from the newest key record. */
export interface KeyFault {
  /** Path relative to the directory that the keys belong to. */
  readonly file: string;
  /** True if the file was damaged or lost; false if the copy was never made. */
  readonly isDamage: boolean;
  /**
   * True if the file is intact, but is another record, for example of another client. Nothing shows which of the two is
   * right, so neither is replaced.
   */
  readonly isOther: boolean;
}

/**
 * Returns the files that are missing or differ from the newest key record; none if both files of that record are
 * damaged. A client has no copy of its record before its first pack.
 */
export function keyFaults({ files }: System, directory: string): KeyFault[] {
  const newest = newestKeys({ files }, directory);
  if (newest === undefined || !isWhole(newest.bytes, newest.number)) return [];
  return PLACES.flatMap((place) => {
    const above = path.dirname(path.join(directory, place));
    if (files.status(above) === undefined) return [];
    const file = path.join(place, keyFileName(newest.number));
    const there = readable(files, path.join(directory, file));
    if (there?.equals(newest.bytes) === true) return [];
    const isOther = there !== undefined && isWhole(there, newest.number);
    return [{ file, isDamage: place === KEYS_DIRECTORY || there !== undefined, isOther }];
  });
}

/**
 * Repairs the newest key record in each of the two places from the other, durably, and then removes older copies.
 * Returns the faults that were repaired. Call with the client's lock held.
 */
export async function mendKeys(system: System, directory: string): Promise<KeyFault[]> {
  const { files } = system;
  const newest = newestKeys(system, directory);
  const faults = keyFaults(system, directory).filter(({ isOther }) => !isOther);
  for (const fault of faults) {
    const file = path.join(directory, fault.file);
    const folder = path.dirname(file);
    try {
      const isNew = files.status(folder) === undefined;
      if (isNew) files.makeDirectory(folder, true);
      await replaceFile(files, file, newest!.bytes, { isSecret: true });
      if (isNew) await files.syncDirectory(path.dirname(folder));
    } catch (error) {
      throw failedStoreWrite(files, file, error);
    }
  }
  if (newest !== undefined && !areKeysLost(system, directory)) {
    await removeOlderCopies(system, directory, newest.number);
  }
  return faults;
}

/**
 * Removes older copies, so that no copy accepts a revoked password. An intact copy that differs from its record is
 * kept, since it may be the right one.
 */
async function removeOlderCopies(
  { files }: System,
  directory: string,
  before: number,
): Promise<void> {
  const folder = path.join(directory, KEY_COPIES_DIRECTORY);
  const older = numbersIn(files, folder).filter((number) => {
    if (number >= before) return false;
    const [record, copy] = PLACES.map((place) =>
      readable(files, path.join(directory, place, keyFileName(number))),
    );
    if (record === undefined || copy === undefined) return true;
    return copy.equals(record) || !isWhole(copy, number);
  });
  try {
    for (const number of older) files.unlink(path.join(folder, keyFileName(number)));
    if (older.length > 0) await files.syncDirectory(folder);
  } catch (error) {
    throw asTardisError(error, `removing key records in ${folder}`, 'writeStore');
  }
}

/** True if there is a newest key record, but neither of its files is intact. */
export function areKeysLost(system: System, directory: string): boolean {
  const newest = newestKeys(system, directory);
  return newest !== undefined && !isWhole(newest.bytes, newest.number);
}
