/**
 * Implements `sonic keys --insert` for a store that has lost its key records; in a bucket, also for one that has lost
 * only the newest. They are restored from a key file, whose keys must be proven to be the client's.
 */
import {
  changePassword,
  type KeyFile,
  type KeyRecord,
  moveOn,
  unlockKeyRecord,
} from '../../crypto/index.js';
import {
  type ClientDirectory,
  lostKeys,
  neededBy,
  newestKeys,
  noteNeededKeys,
  openClientDirectory,
  storeKeys,
  withClient,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { isWithoutKeys, keysOf, rememberOpened, type KnownPlace } from '../opening/keys.js';
import { proveOpened } from '../opening/prove-keys.js';
import { clientPlace } from '../opening/local-store.js';
import { noteStored } from '../opening/rollback.js';

/**
 * True if the store of a client has lost its keys: it has no intact key record, or in a bucket an older one than the key
 * file. `putKeysBack` then restores them from the key file.
 */
export function areKeysLost(system: System, settings: KnownPlace, file: KeyFile): boolean {
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
export async function putKeysBack(
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
