/**
 * A key file on this machine: finding a client's keys in it, and changing its section. A change is made
 * under a lock, in a new file that takes the place of the old one when it is on the disk.
 */
import path from 'node:path';
import { asTardisError, type ErrorCode, systemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import {
  byteText,
  inheritOwner,
  lockPatiently,
  readSmallFile,
  realPathOf,
  replaceFile,
  type System,
  textBytes,
} from '../system/index.js';
import { KeyFileText, MAX_KEY_FILE_BYTES } from './key-file-format.js';
import { isOfRecord, type KeyRecord, withoutKeys } from './key-record.js';

/** Several may change a file one after another, which takes them milliseconds each. */
const PATIENCE_MS = 30_000;

/** What is made has the permissions that the file calls give: those for a key file are 0600. */
type Calls = Pick<System, 'files' | 'native'>;

export class KeyFile {
  private readonly calls: Calls;
  private readonly given: Buffer;
  private readonly shown: string;

  /** `given`: its path, which may be a link to it. */
  constructor(calls: Calls, given: Buffer) {
    this.calls = calls;
    this.given = given;
    this.shown = displayName(given);
  }

  /** Throws KEY_FILE_INVALID, when it is not there too. */
  read(): KeyFileText {
    return KeyFileText.parse(this.bytesOf(this.given), this.shown);
  }

  /** The records of some keys, oldest first; none if they, or the file, are not there. Throws KEY_FILE_INVALID. */
  recordsOf(keysetId: Buffer): KeyRecord[] {
    if (realPathOf(this.given) === undefined) return [];
    return this.read().find(keysetId);
  }

  /** Writes the records of some keys, and no others of the same keys. Throws KEY_FILE_INVALID, KEY_FILE_NOT_WRITTEN, CLIENT_BUSY. */
  async put(client: string, records: readonly [KeyRecord, ...KeyRecord[]]): Promise<void> {
    await this.change((text) => text.with(client, records));
  }

  /** Takes some keys out. Throws as `put`. */
  async drop(keysetId: Buffer): Promise<void> {
    await this.change((text) => text.without(keysetId));
  }

  /**
   * The record with the keys of the one that a store shows. Throws KEY_FILE_INVALID when they are not in
   * the file, KEY_FILE_DIFFERS when it has an older, newer or other record of them.
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
        ? `another key record ${newest} of "${client}" than the store`
        : `key record ${newest} of "${client}", and the store ${shown.number}`;
    throw new TardisError('KEY_FILE_DIFFERS', `the key file ${this.shown} has ${what}`);
  }

  private bytesOf(file: Buffer): Buffer {
    try {
      return readSmallFile(file, MAX_KEY_FILE_BYTES);
    } catch (error) {
      const why = systemCode(error);
      if (why === undefined) throw error;
      const what = `cannot read the key file ${this.shown}: ${why}`;
      throw new TardisError('KEY_FILE_INVALID', what, {}, error);
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
      const why = systemCode(error);
      if (why === undefined) throw error;
      const what = `cannot write the key file ${this.shown}: ${why}`;
      throw new TardisError('KEY_FILE_NOT_WRITTEN', what, {}, error);
    }
  }

  /** Where it really is: a link to it stays one. */
  private place(): string {
    const { files } = this.calls;
    const real = realPathOf(this.given);
    if (real !== undefined) {
      if (files.status(byteText(real))?.isFile === true) return byteText(real);
      throw new TardisError('KEY_FILE_INVALID', `${this.shown} is no file`);
    }
    const given = byteText(this.given);
    if (files.isLink(given)) {
      throw new TardisError('KEY_FILE_INVALID', `${this.shown} is a link that leads nowhere`);
    }
    const above = realPathOf(textBytes(path.dirname(given)));
    if (above !== undefined) return path.join(byteText(above), path.basename(given));
    throw new TardisError('KEY_FILE_NOT_WRITTEN', `there is no directory for ${this.shown}`);
  }

  /** The directory is locked, since the file is replaced. */
  private async lock(directory: string): Promise<number> {
    const { files, native } = this.calls;
    const fd = files.open(directory, 'read');
    let isHeld = false;
    try {
      const attempt = (): true | undefined => native.flock(fd, true) || undefined;
      isHeld = (await lockPatiently(attempt, PATIENCE_MS)) === true;
    } finally {
      if (!isHeld) files.close(fd);
    }
    if (isHeld) return fd;
    throw new TardisError('CLIENT_BUSY', `the directory of ${this.shown} is locked by somebody`);
  }

  private async replace(file: string, make: (text: KeyFileText) => Buffer): Promise<void> {
    const { files } = this.calls;
    const isThere = files.status(file) !== undefined;
    const before = isThere ? this.bytesOf(textBytes(file)) : Buffer.alloc(0);
    const after = make(KeyFileText.parse(before, this.shown));
    if (after.equals(before)) return;
    await replaceFile(files, file, after, (fd) => {
      if (isThere) inheritOwner(fd, file);
    });
  }
}

/**
 * The record with the keys of the one that a store shows, from a key file if one is given. Throws
 * KEYS_ELSEWHERE when neither has them, PASSWORD_NOT_SET when a file is given and the store shows no
 * record, and what `KeyFile.recordOf` throws.
 */
export function wholeRecord(
  shown: KeyRecord | undefined,
  file: KeyFile | undefined,
  client: string,
): KeyRecord | undefined {
  if (shown === undefined) {
    if (file === undefined) return undefined;
    const what = `the client "${client}" has no password, and so no keys`;
    throw new TardisError('PASSWORD_NOT_SET', what);
  }
  if (file !== undefined) return file.recordOf(shown, client);
  if (shown.hasKeys) return shown;
  throw new TardisError('KEYS_ELSEWHERE', `the keys of "${client}" are in a key file of its owner`);
}

/** With these it is said, by a server too, that a client was not made. */
const NOT_MADE: ReadonlySet<ErrorCode> = new Set([
  'CLIENT_EXISTS',
  'CLIENT_NAME_INVALID',
  'NOT_PERMITTED',
  'PASSWORD_NEEDED',
]);

/**
 * Puts the keys of a new client into the file before `make` makes it, and takes them out again when it was
 * not made. In doubt they stay.
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
 * Goes from a record to the next one, in the store and in the key file. At each moment the file has the
 * keys that the store's record wants, whichever of the two that is:
 *
 * 1. the file has both records, and is on the disk;
 * 2. the store has the next one, with its keys or without;
 * 3. the file has the next one only, so that an old password opens nothing.
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
