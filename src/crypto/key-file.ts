/**
 * Reads and changes a key file on this machine. A change is made under a lock: a new file is written, synced, and
 * renamed over the old one.
 */
import path from 'node:path';
import { asTardisError, type ErrorCode, failedTo, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import {
  byteText,
  inheritOwner,
  flockPatiently,
  readSmallFile,
  realPathOf,
  replaceFile,
  reportIfExposed,
  type System,
  textBytes,
} from '../system/index.js';
import { KeyFileText, MAX_KEY_FILE_BYTES } from './key-file-format.js';
import { isOfRecord, type KeyRecord, withoutKeys } from './key-record.js';

/**
 * Maximum time to wait for the lock. Several processes may change a file in turn, which takes each of them
 * milliseconds.
 */
const PATIENCE_MS = 30_000;

/** System calls for key files. They decide the permissions of new files: 0600 for a key file. */
type Calls = Pick<System, 'files' | 'native'>;

export class KeyFile {
  private readonly shown: string;

  /** Gives access to a key file. `given` is its path, which may be a symbolic link. */
  constructor(
    private readonly calls: Calls,
    private readonly given: Buffer,
  ) {
    this.shown = displayName(given);
  }

  /** Reads the file. Throws KEY_FILE_INVALID if it is missing, cannot be read, or is no key file. */
  read(): KeyFileText {
    return KeyFileText.parse(this.bytesOf(this.given), this.shown);
  }

  /**
   * Returns the records of a key set, oldest first; none if the file or its section is missing. Throws KEY_FILE_INVALID
   * if the file or the section is damaged.
   */
  recordsOf(keysetId: Buffer): KeyRecord[] {
    if (realPathOf(this.given) === undefined) return [];
    return this.read().find(keysetId);
  }

  /**
   * Writes these records in place of all others of the same key set. Throws KEY_FILE_INVALID if the file is no key
   * file, KEY_FILE_NOT_WRITTEN if writing fails, and CLIENT_BUSY if another process holds the lock for too long.
   */
  async put(client: string, records: readonly [KeyRecord, ...KeyRecord[]]): Promise<void> {
    await this.change((text) => text.with(client, records));
  }

  /** Removes the section of a key set. Throws the same errors as `put`. */
  async drop(keysetId: Buffer): Promise<void> {
    await this.change((text) => text.without(keysetId));
  }

  /**
   * Returns this file's record, with its keys, for the record `shown` by the store. Throws KEY_FILE_INVALID if the
   * file has no section for the key set, KEY_FILE_DIFFERS if its record is older, newer or another one.
   */
  recordOf(shown: KeyRecord, client: string): KeyRecord {
    const text = this.read();
    const records = text.find(shown.keysetId);
    const fitting = records.find((record) => isOfRecord(record, shown));
    if (fitting !== undefined) return fitting;
    const newest = records.at(-1)?.number;
    if (newest === undefined) {
      throw new TardisError('KEY_FILE_INVALID', `the key file ${this.shown} ${text.lack(client)}`);
    }
    const what =
      newest === shown.number
        ? `a key record ${newest} of "${client}" that differs from that of the store`
        : `key record ${newest} of "${client}", and the store has ${shown.number}`;
    throw new TardisError('KEY_FILE_DIFFERS', `the key file ${this.shown} has ${what}`);
  }

  /**
   * Returns the newest record of a client whose store has lost its own records. Throws KEY_FILE_INVALID if not exactly
   * one section can be that of the client.
   */
  newestOf(client: string): KeyRecord {
    const record = this.read().newestOf(client);
    if (record !== undefined) return record;
    const what = `does not have exactly one section that can be for "${client}"`;
    throw new TardisError('KEY_FILE_INVALID', `the key file ${this.shown} ${what}`);
  }

  private bytesOf(file: Buffer): Buffer {
    try {
      return readSmallFile(file, MAX_KEY_FILE_BYTES);
    } catch (error) {
      throw failedTo(`read the key file ${this.shown}`, error, 'readKeyFile');
    }
  }

  private async change(make: (text: KeyFileText) => Buffer): Promise<void> {
    try {
      const file = this.place();
      const lock = await this.lock(path.dirname(file));
      try {
        await this.replace(file, make);
      } finally {
        this.calls.files.close(lock);
      }
    } catch (error) {
      throw failedTo(`write the key file ${this.shown}`, error, 'writeKeyFile');
    }
  }

  /**
   * Returns the real path of the file. If the given path is a link, its target is replaced and the link stays. Throws
   * KEY_FILE_INVALID for a dangling link or another thing than a file, KEY_FILE_NOT_WRITTEN without a directory.
   */
  private place(): string {
    const { files } = this.calls;
    const real = realPathOf(this.given);
    if (real !== undefined) {
      if (files.status(byteText(real))?.isFile === true) return byteText(real);
      throw new TardisError('KEY_FILE_INVALID', `${this.shown} is not a file`);
    }
    const given = byteText(this.given);
    if (files.isLink(given)) {
      throw new TardisError('KEY_FILE_INVALID', `${this.shown} is a dangling link`);
    }
    const above = realPathOf(textBytes(path.dirname(given)));
    if (above !== undefined) return path.join(byteText(above), path.basename(given));
    throw new TardisError('KEY_FILE_NOT_WRITTEN', `the directory of ${this.shown} does not exist`);
  }

  /**
   * Locks the directory and returns its descriptor. The file itself is not locked, since it is replaced. Throws
   * CLIENT_BUSY if the lock stays held for PATIENCE_MS.
   */
  private async lock(directory: string): Promise<number> {
    const { files, native } = this.calls;
    const fd = files.open(directory, 'directory');
    let isHeld = false;
    try {
      // A file system without locks may hold keys too: a change replaces the file in one step.
      isHeld = (await flockPatiently(native, fd, PATIENCE_MS)) !== 'busy';
    } finally {
      if (!isHeld) files.close(fd);
    }
    if (isHeld) return fd;
    throw new TardisError(
      'CLIENT_BUSY',
      `the directory of ${this.shown} is locked by another process`,
    );
  }

  private async replace(file: string, make: (text: KeyFileText) => Buffer): Promise<void> {
    const { files } = this.calls;
    const isThere = files.status(file) !== undefined;
    const before = isThere ? this.bytesOf(textBytes(file)) : Buffer.alloc(0);
    const after = make(KeyFileText.parse(before, this.shown));
    if (after.equals(before)) return;
    const prepare = (fd: number): void => {
      if (isThere) inheritOwner(fd, file);
    };
    await replaceFile(files, file, after, { isSecret: true, prepare });
    reportIfExposed(file, 'the key file', 'with it they can test guesses at the password');
  }
}

/**
 * Returns the record with its keys: that of the key file, if a file is given, else the record that the store shows.
 * Returns undefined if there is neither a file nor a record. Throws KEYS_ELSEWHERE if no file is given and the store's
 * record lacks the keys. Throws PASSWORD_NOT_SET if a file is given and the store has no record, and the errors of
 * `KeyFile.recordOf`.
 */
export function wholeRecord(
  shown: KeyRecord | undefined,
  file: KeyFile | undefined,
  client: string,
): KeyRecord | undefined {
  if (shown === undefined) {
    if (file === undefined) return undefined;
    const what = `the client "${client}" has no password, and therefore no keys`;
    throw new TardisError('PASSWORD_NOT_SET', what);
  }
  if (file !== undefined) return file.recordOf(shown, client);
  if (shown.hasKeys) return shown;
  throw new TardisError('KEYS_ELSEWHERE', `the keys of "${client}" are in a key file of its owner`);
}

/** Errors which prove that the client was not created; a server may report them too. */
const NOT_MADE: ReadonlySet<ErrorCode> = new Set([
  'CLIENT_EXISTS',
  'CLIENT_NAME_INVALID',
  'NOT_PERMITTED',
  'PASSWORD_NEEDED',
]);

/**
 * Adds the keys of a new client to the file before `make` creates the client. Removes them if an error proves that
 * it was not created; on any other error they stay.
 */
export async function withNewKeys<T>(
  file: KeyFile,
  client: string,
  record: KeyRecord,
  make: () => Promise<T>,
): Promise<T> {
  await file.put(client, [record]);
  try {
    return await make();
  } catch (error) {
    if (NOT_MADE.has(asTardisError(error).code)) await file.drop(record.keysetId);
    throw error;
  }
}

/**
 * Replaces a record by the next one, in the store and in the key file. At each moment the file has the keys for the
 * record in the store, whichever of the two that is:
 *
 * 1. The file gets both records, and is synced.
 * 2. The store gets the next record, with its keys or without.
 * 3. The file keeps only the next record, so that an old password opens nothing.
 */
export async function moveOn(
  file: KeyFile | undefined,
  client: string,
  change: { readonly from: KeyRecord; readonly to: KeyRecord; readonly keepsKeys: boolean },
  store: (record: KeyRecord) => Promise<void>,
): Promise<void> {
  const { from, to, keepsKeys } = change;
  await file?.put(client, [from, to]);
  await store(keepsKeys ? to : withoutKeys(to));
  await file?.put(client, [to]);
}
