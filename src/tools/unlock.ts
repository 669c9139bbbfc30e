/** Tools that read a store on this machine ask for the password of a client that has one. */
import {
  KeyFile,
  type Keyring,
  type KeyRecord,
  keyringOf,
  meetKeys,
  parseKeyRecord,
  unlockKeyRecord,
  wholeRecord,
} from '../crypto/index.js';
import type { Found } from '../config/index.js';
import { loginDirectory, newestKeys, openClientDirectory, readRights } from '../store/index.js';
import { nodeSystem, type System } from '../system/index.js';
import { type PasswordSettings, requirePassword } from './password.js';
import { clientPlace } from './local-store.js';

type UnlockSettings = PasswordSettings & Parameters<typeof clientPlace>[0] & KeysSettings;

export interface KeysSettings {
  /** Undefined: the owner of the client. */
  readonly account: string | undefined;
  readonly keysFile: Buffer | undefined;
}

/** A key file is for nobody but its owner. */
export const KEY_FILE_UMASK = 0o077;

export function keyFileOf({ keysFile }: Pick<KeysSettings, 'keysFile'>): KeyFile | undefined {
  return keysFile && new KeyFile(nodeSystem(KEY_FILE_UMASK), keysFile);
}

/** The newest key record of a client, as the store has it. Throws KEYS_DAMAGED, NO_SUCH_STORE, NO_SUCH_CLIENT. */
export function keysOf(
  system: System,
  place: ReturnType<typeof clientPlace>,
  account?: string,
): KeyRecord | undefined {
  const { path } = openClientDirectory(system, place);
  if (account !== undefined) readRights(system, path, account);
  const keys = newestKeys(system, loginDirectory(path, account));
  return keys === undefined ? undefined : parseKeyRecord(keys.bytes);
}

/**
 * Asks for the password of a client that has one; what it encrypts with, if it does. Throws LOGIN_FAILED for
 * a wrong password, PASSWORD_NEEDED for none where there is nobody to ask; KEYS_ELSEWHERE, KEY_FILE_*.
 */
export async function unlockClient(
  system: System,
  settings: UnlockSettings,
  found: ReadonlyMap<string, Found>,
): Promise<Keyring | undefined> {
  const { client, account } = settings;
  const shown = keysOf(system, clientPlace(settings), account);
  const record = wholeRecord(shown, keyFileOf(settings), client);
  if (record === undefined) return undefined;
  const ask = promptFor(client, account);
  const password = await requirePassword(settings, found, ask);
  const { keys } = await unlockKeyRecord(record, password);
  password.fill(0);
  meetKeys(record, keys, account);
  if (!record.isEncrypting) return undefined;
  return keyringOf(system.native, record, keys);
}

export function promptFor(client: string, account?: string): { prompt: string; isNew: false } {
  const who = account === undefined ? client : `the account ${account} of ${client}`;
  return { prompt: `Password of ${who}`, isNew: false };
}
