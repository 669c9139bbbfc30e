/**
 * Implements `sonic keys`: copies or moves the wrapped keys of a client from the store to a key file, and back. Each
 * step that changes the store adds a key record; the keys themselves never change.
 */
import type { Settings } from '../../config/index.js';
import {
  changePassword,
  type KeyFile,
  keyFileText,
  type KeyRecord,
  moveOn,
  unlockKeyRecord,
  wholeRecord,
} from '../../crypto/index.js';
import { usageError } from '../../errors/index.js';
import {
  isWithoutKeys,
  KEY_FILE_UMASK,
  keyFileOf,
  keysOf,
  keysOfKnown,
  type KnownPlace,
  promptFor,
  rememberOpened,
} from '../opening/keys.js';
import { clientPlace, storeSystem } from '../opening/local-store.js';
import { requirePassword } from '../opening/password.js';
import { proveOpened } from '../opening/prove-keys.js';
import { noteStored } from '../opening/rollback.js';
import { print, printJson } from '../output/output.js';
import {
  type ClientDirectory,
  lostKeys,
  neededBy,
  newestKeys,
  noteNeededKeys,
  openClientDirectory,
  removeOlderKeys,
  requireNoAccounts,
  storeKeys,
  withClient,
} from '../../store/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { qrImages, writePaper } from './keys-paper.js';
import { changeRecord, printResult, type RecordChange, requireEncrypting } from './passwords.js';
import { type SheetWords, sheetWords } from './sheet-words.js';

type KeysOptions = Settings<'sonic keys'>;

/** Parameters of the requested action. */
interface Job {
  readonly system: System;
  readonly client: string;
  readonly file: KeyFile;
  readonly password: Buffer;
  /**
   * True if the store is on this machine. A newer record of the key file may then replace the record of the store
   * (`fromFile`).
   */
  readonly isLocal: boolean;
}

export async function moveKeys(options: KeysOptions): Promise<void> {
  const { client, extractKeys, insertKeys, removeKeys, printKeys, showKeys } = options;
  const file = keyFileOf(options);
  const isPaper = printKeys !== undefined || showKeys;
  if ([extractKeys, insertKeys, isPaper].filter(Boolean).length !== 1) {
    throw usageError('give one of --extract and --insert, or --pdf and --qr');
  }
  if (isPaper) {
    const system = storeSystem(options.umask);
    requireKeysHere(system, options);
    const password = await requirePassword(options, promptFor(client));
    return putOnPaper(system, options, file, password);
  }
  if (removeKeys && !extractKeys) throw usageError('--remove needs --extract');
  if (file === undefined) throw usageError('give the key file with --keys');
  if (insertKeys) file.read(); // reports errors before the user is prompted for a password
  const system = storeSystem(options.umask);
  const isLocal = options.throughServer === undefined;
  const isLost = insertKeys && isLocal && areKeysLost(system, options, file);
  if (!isLost) requireKeysHere(system, options);
  if (isLocal && removeKeys) {
    // This is checked here before the file is changed, since the server checks it only after that.
    requireNoAccounts(system, openClientDirectory(system, clientPlace(options)).path);
  }
  const password = await requirePassword(options, promptFor(client));
  const job = { system, client, file, password, isLocal };
  const change = insertKeys ? insertInto(job) : removeKeys ? takeOut(job) : copyOut(job);
  if (isLost) await putKeysBack(system, options, file, password);
  else {
    const ownNumber = (shown: KeyRecord): number => fromFile(job, shown).number;
    await changeRecord(system, options, change, {
      password,
      ownNumber: insertKeys ? ownNumber : undefined,
    });
  }
  if (!removeKeys) {
    const text = insertKeys
      ? `The store has the keys of "${client}". The key file has them too, and may be removed.`
      : `The key file has the keys of "${client}". The store has them too.`;
    printResult(options, text);
    return;
  }
  const olderRemoved = isLocal ? await forgetOlder(job, options) : 0;
  const text = isLocal
    ? `The keys of "${client}" are in the key file only. Do not lose it.`
    : `The store has a key record of "${client}" without keys. To remove older records, which have keys, run the ` +
      'same command on its machine, with -D. Do not lose the key file.';
  printResult(options, text, { facts: { olderRemoved, olderStay: !isLocal } });
}

/**
 * Checks the client before the password prompt; a server checks it later. Throws ENCRYPTION_GONE, PASSWORD_NOT_SET,
 * USAGE.
 */
function requireKeysHere(system: System, options: KeysOptions): void {
  if (options.throughServer !== undefined) return;
  requireEncrypting(keysOfKnown(system, options), options.client);
}

/** Writes the keys of the store, or of the key file, to a PDF or as QR codes on the terminal. */
async function putOnPaper(
  system: System,
  options: KeysOptions,
  file: KeyFile | undefined,
  password: Buffer,
): Promise<void> {
  const { client, printKeys, showKeys, json } = options;
  let text: Buffer = Buffer.alloc(0);
  let words: SheetWords | undefined;
  await changeRecord(
    system,
    options,
    async (shown) => {
      const record = wholeRecord(requireEncrypting(shown, client), file, client)!;
      await unlockKeyRecord(record, password);
      text = keyFileText(client, record);
      words = sheetWords(options, record);
    },
    { password },
  );
  if (printKeys !== undefined)
    await writePaper(nodeSystem(KEY_FILE_UMASK), printKeys, { client, text, words: words! });
  const qr = showKeys ? await qrImages(text) : undefined;
  if (json && qr !== undefined) return printJson({ client, ...words!, qr });
  for (const image of qr ?? []) print(image);
  if (qr !== undefined) printWords(client, words!);
  if (printKeys === undefined) return;
  const what =
    'With the PDF and the password you can use the present keys; print another one after a change.';
  printResult(options, `The wrapped keys of "${client}" are in the PDF. ${what}`);
}

/** Prints the text of the sheet, for users who print the codes from the terminal. */
function printWords(client: string, { keyId, about, steps }: SheetWords): void {
  print('');
  print(`Keys of the backups of "${client}". Key id: ${keyId}`);
  print(about);
  for (const { text, commands } of steps) {
    print(text);
    for (const command of commands) print(`    ${command}`);
  }
}

/**
 * Copies the keys of the store to the file, and returns the record in the file. If the store has no keys, only returns
 * the record in the file. Throws LOGIN_FAILED, and KEY_FILE_DIFFERS if the file has no record like that of the store.
 */
async function extract({ client, file, password }: Job, shown: KeyRecord): Promise<KeyRecord> {
  if (!shown.hasKeys) {
    const record = file.recordOf(shown, client);
    await unlockKeyRecord(record, password);
    return record;
  }
  await unlockKeyRecord(shown, password);
  const newest = file.recordsOf(shown.keysetId).at(-1);
  if (newest === undefined || newest.number < shown.number) await file.put(client, [shown]);
  return file.recordOf(shown, client);
}

function copyOut(job: Job): RecordChange {
  return async (shown) => {
    await extract(job, requireEncrypting(shown, job.client));
  };
}

/** Adds a record without keys to the store. Does nothing if the store's newest record has no keys. */
function takeOut(job: Job): RecordChange {
  const { system, client, file, password } = job;
  return async (shown, store) => {
    const from = await extract(job, requireEncrypting(shown, client));
    if (shown?.hasKeys !== true) return;
    const to = (await changePassword(system.native.modPow, from, password, { password })).record;
    await moveOn(file, client, { from, to, keepsKeys: false }, store);
  };
}

/**
 * Adds a record with keys to the store. If the store has keys already, they must be those of the file, and nothing is
 * added.
 */
function insertInto(job: Job): RecordChange {
  const { system, client, file, password } = job;
  return async (shown, store) => {
    const before = requireEncrypting(shown, client);
    const from = fromFile(job, before);
    await unlockKeyRecord(from, password);
    if (before.hasKeys) return;
    const next = { ...from, number: before.number };
    const to = (await changePassword(system.native.modPow, next, password, { password })).record;
    await moveOn(file, client, { from, to, keepsKeys: true }, store);
  };
}

/**
 * Returns the record of the key file that matches the record of the store. If the store is on this machine and its
 * record has no keys, a newer record of the file is returned instead, since the store was then restored from an older
 * copy. Throws KEY_FILE_DIFFERS, KEY_FILE_INVALID.
 */
function fromFile({ client, file, isLocal }: Job, shown: KeyRecord): KeyRecord {
  const newest = file.recordsOf(shown.keysetId).at(-1);
  const isPutBack = isLocal && !shown.hasKeys && (newest?.number ?? 0) > shown.number;
  return isPutBack ? newest! : file.recordOf(shown, client);
}

/**
 * Removes the key records before the newest one, if the newest has no keys and its keys are in the file. Returns the
 * number removed.
 */
async function forgetOlder({ system, client, file }: Job, options: KeysOptions): Promise<number> {
  const directory = openClientDirectory(system, clientPlace(options));
  return withClient(system, directory, async () => {
    const newest = requireEncrypting(keysOf(system, clientPlace(options)), client);
    if (newest.hasKeys) return 0; // another process has restored the keys meanwhile
    file.recordOf(newest, client);
    return removeOlderKeys(system, directory.path, newest.number);
  });
}

/**
 * True if the store of a client has lost its keys: it has no intact key record, or in a bucket an older one than the key
 * file. `sonic keys --insert` then restores them from the key file, whose keys must be proven to be the client's.
 */
function areKeysLost(system: System, settings: KnownPlace, file: KeyFile): boolean {
  return areKeysMissing(system, settings) || areKeysOlder(system, settings, file);
}

/** True if the client encrypts, and its store has no intact key record. */
function areKeysMissing(system: System, settings: KnownPlace): boolean {
  const directory = openClientDirectory(system, clientPlace(settings));
  try {
    keysOf(system, clientPlace(settings));
    return false;
  } catch (error) {
    if (!isWithoutKeys(error)) throw error;
    return lostKeys(system, directory.path) !== 'password';
  }
}

/**
 * True if a bucket has a key record with keys, and the key file has a later record of these keys. Then the bucket has
 * lost that record, or was rolled back.
 */
function areKeysOlder(system: System, settings: KnownPlace, file: KeyFile): boolean {
  const directory = openClientDirectory(system, clientPlace(settings));
  if (directory.bucket === undefined) return false;
  const shown = keysOf(system, clientPlace(settings));
  if (shown?.isEncrypting !== true || !shown.hasKeys) return false;
  return (file.recordsOf(shown.keysetId).at(-1)?.number ?? 0) > shown.number;
}

/**
 * Restores the newest record of the key file to the store, if the password opens it and its keys fit the backups.
 * Throws LOGIN_FAILED, NOT_AUTHENTIC, KEY_FILE_INVALID, KEYS_CHANGED, STORE_ROLLED_BACK, CLIENT_BUSY.
 */
async function putKeysBack(
  system: System,
  settings: KnownPlace,
  file: KeyFile,
  password: Buffer,
): Promise<void> {
  const { client } = settings;
  const directory = openClientDirectory(system, clientPlace(settings));
  const record = file.newestOf(client);
  const { keys } = await unlockKeyRecord(record, password);
  const options = { trustsOlder: settings.trustStore };
  await proveOpened(system, settings, { record, keys, options });
  rememberOpened(settings, record, keys, options);
  await withClient(system, directory, async () => {
    if (!areKeysLost(system, settings, file)) return; // another run has restored them
    const before =
      lostKeys(system, directory.path) === 'none' && newestKeys(system, directory.path);
    if (before) {
      const added = { client, record, password, before: before.number };
      noteStored(settings, await addBehind(system, directory, file, added));
    } else await storeKeys(system, directory, record, 0);
    // In a bucket, the object that makes the client has the format file, and is never replaced.
    if (directory.bucket === undefined)
      await noteNeededKeys(system, directory.path, neededBy(record));
  });
}

/** Adds a record for the same password after a damaged or older record, and returns the new record. */
async function addBehind(
  system: System,
  directory: ClientDirectory,
  file: KeyFile,
  {
    client,
    record,
    password,
    before,
  }: { client: string; record: KeyRecord; password: Buffer; before: number },
): Promise<KeyRecord> {
  const from = { ...record, number: Math.max(before, record.number) };
  const { record: to } = await changePassword(system.native.modPow, from, password, { password });
  const store = (next: KeyRecord): Promise<void> => storeKeys(system, directory, next, before);
  await moveOn(file, client, { from: record, to, keepsKeys: true }, store);
  return to;
}
