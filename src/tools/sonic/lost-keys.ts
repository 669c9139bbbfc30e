/**
 * Implements `sonic keys --insert` for a store that has lost its key records. They are restored from a key file that
 * is proven to be the client's.
 */
import {
  changePassword,
  type KeyFile,
  type KeyRecord,
  moveOn,
  unlockKeyRecord,
} from '../../crypto/index.js';
import {
  addKeys,
  type ClientDirectory,
  lostKeys,
  neededBy,
  newestKeys,
  noteNeededKeys,
  openClientDirectory,
  type StoredKeys,
  storeKeys,
  withClient,
} from '../../store/index.js';
import { TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import type { IdentitySettings } from '../shared/identity.js';
import { clientPlace } from '../shared/local-store.js';
import { noteStored } from '../shared/older-store.js';
import { proveOpened } from './prove-keys.js';
import { isWithoutKeys, keysOf, rememberOpened } from '../shared/unlock.js';

type Settings = IdentitySettings & Parameters<typeof clientPlace>[0];

/** True if the client encrypts, and its store has no intact key record. */
export function areKeysMissing(system: System, settings: Settings): boolean {
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
 * Restores the newest record of the key file to the store, if the password opens it and its keys fit the backups.
 * Throws LOGIN_FAILED, NOT_AUTHENTIC, KEY_FILE_INVALID, KEYS_CHANGED, STORE_ROLLED_BACK, CLIENT_BUSY.
 */
export async function putKeysBack(
  system: System,
  settings: Settings,
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
    if (!areKeysMissing(system, settings)) return; // another run has restored them
    const damaged =
      lostKeys(system, directory.path) === 'none' && newestKeys(system, directory.path);
    if (directory.bucket !== undefined) requireNextInBucket(client, record, damaged);
    if (damaged) {
      const added = { client, record, password, damaged: damaged.number };
      noteStored(settings, await addBehind(system, directory, file, added));
    } else await addKeys(system, directory.path, record);
    await noteNeededKeys(system, directory.path, neededBy(record));
  });
}

/**
 * Throws KEYS_LOST unless the next key record in a bucket can follow the damaged one there. Other machines find a key
 * record by its number.
 */
function requireNextInBucket(
  client: string,
  { number }: KeyRecord,
  damaged: StoredKeys | undefined | false,
): void {
  if (damaged && number <= damaged.number) return;
  const what = `the bucket has lost key records of "${client}"`;
  throw new TardisError('KEYS_LOST', `${what}: bring them back with \`sonic bucket --recover\``);
}

/** Adds a next record after a damaged one, for the same password, and returns it. */
async function addBehind(
  system: System,
  directory: ClientDirectory,
  file: KeyFile,
  {
    client,
    record,
    password,
    damaged,
  }: { client: string; record: KeyRecord; password: Buffer; damaged: number },
): Promise<KeyRecord> {
  const from = { ...record, number: Math.max(damaged, record.number) };
  const { record: to } = await changePassword(system.native.modPow, from, password, { password });
  const store = (next: KeyRecord): Promise<void> => storeKeys(system, directory, next, damaged);
  await moveOn(file, client, { from: record, to, keepsKeys: true }, store);
  return to;
}
