/** Unlocks a client with its password, for tools that read a store on this machine. */
import type { SettingsNamed, Sourced } from '../../config/index.js';
import {
  compareKeys,
  KeyFile,
  type KeyMemoryOptions,
  type KeyRecord,
  type Keyring,
  keyringOf,
  type MasterKey,
  parseKeyRecord,
  rememberKeyRecord,
  unlockKeyRecord,
  wholeRecord,
} from '../../crypto/index.js';
import { asTardisError, isBadSector, TardisError, unlessBug } from '../../errors/index.js';
import { holdsSeals, sealedWithoutKeys } from '../../store/catalog/index.js';
import {
  bucketAt,
  fetchAccounts,
  loginKeys,
  newestKeys,
  openClientDirectory,
  readRights,
} from '../../store/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { identityAt, type IdentitySettings } from './known-state.js';
import { donePartly } from '../output/exit-status.js';
import { printAbove, printWarning } from '../output/progress-line.js';
import { clientPlace, type PlaceSettings } from './local-store.js';
import { type PasswordSettings, requirePassword } from './password.js';

/** Settings that locate a client in a store, and compare it with the memory of this machine. */
export type KnownPlace = PlaceSettings & IdentitySettings;
type UnlockSettings = PasswordSettings & KnownPlace & KeysSettings;

const NO_PASSWORD = Buffer.alloc(0);

/** `account` is the name of a sub-account; undefined for the owner of the client. */
export type KeysSettings = SettingsNamed<'account' | 'keysFile'>;

/** Umask for key files, which only their owner may read. */
export const KEY_FILE_UMASK = 0o077;

export function keyFileOf({ keysFile }: Pick<KeysSettings, 'keysFile'>): KeyFile | undefined {
  return keysFile && new KeyFile(nodeSystem(KEY_FILE_UMASK), keysFile);
}

/**
 * Returns the newest key record of a client in its store, or that of an account; undefined without a password. Throws
 * KEYS_DAMAGED, KEYS_LOST, NO_SUCH_STORE, NO_SUCH_CLIENT.
 */
export function keysOf(
  system: System,
  place: ReturnType<typeof clientPlace>,
  account?: string,
): KeyRecord | undefined {
  const { path, catalogPath, client } = openClientDirectory(system, place);
  if (account !== undefined) readRights(system, path, account);
  const keys = loginKeys(system, path, account);
  const record = keys === undefined ? undefined : parseKeyRecord(keys.bytes);
  if (record?.isEncrypting !== true && holdsSeals(system, catalogPath)) {
    throw sealedWithoutKeys(client);
  }
  return record;
}

/**
 * True if a client encrypts, or may do so because its key record is damaged or lost. It is used by tools that check.
 */
export function mayEncrypt(system: System, place: ReturnType<typeof clientPlace>): boolean {
  try {
    return keysOf(system, place)?.isEncrypting === true;
  } catch (error) {
    if (!isWithoutKeys(error)) throw error;
    return true;
  }
}

/**
 * Returns the key record like `keysOf`. Throws ENCRYPTION_GONE if the client does not encrypt although this machine
 * remembers that it did, MEMORY_DAMAGED. Needs no password, and remembers nothing.
 */
export function keysOfKnown(system: System, settings: KnownPlace): KeyRecord | undefined {
  const shown = keysOf(system, clientPlace(settings));
  if (shown?.isEncrypting !== true) identityAt(settings, undefined).requirePlain();
  return shown;
}

/**
 * Throws ENCRYPTION_GONE if a client does not encrypt but did so before. A client with damaged or lost keys is
 * accepted. Throws MEMORY_DAMAGED.
 */
export function refuseInClear(system: System, settings: KnownPlace): void {
  if (!mayEncrypt(system, clientPlace(settings))) identityAt(settings, undefined).requirePlain();
}

/** True for an error that reports a client without a usable key record. */
export function isWithoutKeys(error: unknown): boolean {
  const { code } = asTardisError(error);
  return code === 'KEYS_DAMAGED' || code === 'KEYS_LOST';
}

interface WholeRecord {
  readonly record: KeyRecord | undefined;
  /** True if the store has no record to compare with, so that the keys are proven only if they decrypt the backups. */
  readonly isOfFileOnly: boolean;
}

/**
 * Returns the key record that has the keys: that of the key file if a file is given, otherwise that of the store;
 * undefined for a client without a password. Throws the errors of `unlockClient`.
 */
function wholeRecordOf(system: System, settings: UnlockSettings): WholeRecord {
  const { client, account } = settings;
  const file = keyFileOf(settings);
  let shown: KeyRecord | undefined;
  try {
    shown = keysOf(system, clientPlace(settings), account);
  } catch (error) {
    if (file === undefined || account !== undefined || !isWithoutKeys(error)) throw error;
    return { record: file.newestOf(client), isOfFileOnly: true };
  }
  if (shown === undefined) identityAt(settings, undefined).requirePlain();
  return { record: wholeRecord(shown, file, client), isOfFileOnly: false };
}

/** Maximum number of times that a client is opened whose keys are replaced meanwhile. */
const MOST_OPENINGS = 3;

/**
 * Returns a function that returns true if a client's newest key record is no longer that of now. A command that compared
 * a record with the catalog or with this machine's memory may then have mixed the states before and after, and neither
 * its result nor its error counts.
 */
export function keysWatch(system: System, settings: PlaceSettings): () => boolean {
  const shown = (): string => {
    const { path } = openClientDirectory(system, clientPlace(settings));
    return unlessBug(() => newestKeys(system, path)?.bytes.toString('hex')) ?? '';
  };
  const before = shown();
  return () => shown() !== before;
}

/** Returns the error for a command that met a change of keys. */
export function keysReplaced({ client }: Pick<PlaceSettings, 'client'>): TardisError {
  const what = `the keys of the client "${client}" were replaced meanwhile`;
  return new TardisError('CLIENT_BUSY', `${what}: run this again`);
}

/**
 * Returns the result of `open`, which unlocks a client and may open its catalog. Opens it again if its keys were replaced
 * meanwhile and no prompt is needed. Throws CLIENT_BUSY if that does not help.
 */
export async function openWithSameKeys<T>(
  system: System,
  settings: PlaceSettings & Sourced,
  open: () => Promise<T>,
  close: (opened: T) => void = () => undefined,
): Promise<T> {
  for (let times = hasPassword(settings) ? 1 : MOST_OPENINGS; ; times += 1) {
    const areReplaced = keysWatch(system, settings);
    let opened: T;
    try {
      opened = await open();
      if (!areReplaced()) return opened;
      close(opened);
    } catch (error) {
      if (!areReplaced() || asTardisError(error).code === 'CLIENT_BUSY') throw error;
    }
    if (times === MOST_OPENINGS) throw keysReplaced(settings);
  }
}

/**
 * Prompts for the password of a client that has one, and returns its keyring if it encrypts. Throws:
 *
 * - LOGIN_FAILED for a wrong password, PASSWORD_NEEDED if none is given and there is no terminal
 * - PASSWORD_NOT_SET if a password is given for a client without one
 * - KEYS_CHANGED, ENCRYPTION_GONE, NOT_AUTHENTIC for the key file of another client
 * - KEYS_DAMAGED and KEYS_LOST without a key file; KEYS_ELSEWHERE, KEY_FILE_*; CLIENT_BUSY
 */
export async function unlockClient(
  system: System,
  settings: UnlockSettings,
): Promise<Keyring | undefined> {
  if (settings.account !== undefined) await bringAccounts(system, settings);
  return openWithSameKeys(system, settings, () => unlockOnce(system, settings));
}

async function unlockOnce(system: System, settings: UnlockSettings): Promise<Keyring | undefined> {
  const { client, account } = settings;
  const { record, isOfFileOnly } = wholeRecordOf(system, settings);
  if (record === undefined) {
    if (hasPassword(settings)) throw passwordNotSet(client);
    identityAt(settings, undefined).rememberPlain();
    return undefined;
  }
  const warning = identityAt(settings, undefined).unprovenKeys(record);
  const password = await requirePassword(settings, { ...promptFor(client, account), warning });
  const { keys } = await unlockKeyRecord(record, password);
  password.fill(0);
  const options = { account, trustsOlder: settings.trustStore };
  if (!isOfFileOnly || (await isProven(system, settings, { record, keys, options })))
    rememberOpened(settings, record, keys, options);
  if (!record.isEncrypting) return undefined;
  return keyringOf(system.native, record, keys);
}

/**
 * Returns the keyring like `unlockClient` if a password is given. Otherwise prompts for none and returns undefined: the
 * owner of the disk may do without the keys what a server does without them. Throws the errors of `unlockClient`.
 */
export async function unlockIfGiven(
  system: System,
  settings: UnlockSettings,
): Promise<Keyring | undefined> {
  const isMeant = hasPassword(settings) || settings.account !== undefined;
  return isMeant || settings.keysFile !== undefined ? unlockClient(system, settings) : undefined;
}

/**
 * Returns the keyring like `unlockIfGiven`, for a command that shows names or tags. Without it, prints that those of a
 * client that encrypts are sealed.
 */
export async function unlockForNames(
  system: System,
  settings: UnlockSettings,
): Promise<Keyring | undefined> {
  const keyring = await unlockIfGiven(system, settings);
  if (keyring !== undefined) return keyring;
  const known = keysOfKnown(system, settings);
  if (known === undefined) identityAt(settings, undefined).rememberPlain();
  if (known?.isEncrypting !== true) return undefined;
  warnIfOther(settings, known);
  printAbove(SEALED);
  return undefined;
}

/**
 * Warns if a client has keys that this machine does not remember for its place; the run then ends with status 3. Throws CLIENT_BUSY
 * if they were replaced meanwhile.
 */
export function warnIfOther(
  settings: IdentitySettings,
  record: KeyRecord,
  areReplaced: () => boolean = () => false,
): void {
  const what = identityAt(settings, undefined).unprovenKeys(record);
  if (what === undefined) return;
  if (areReplaced()) throw keysReplaced(settings);
  printWarning(`${what} [KEYS_CHANGED]`);
  donePartly();
}

const SEALED =
  'no password was given: names and tags that begin with ~ are sealed (--password shows them)';

/** Fetches the accounts of a client in a bucket to this machine. Throws errors of a bucket. */
export async function bringAccounts(system: System, settings: KnownPlace): Promise<void> {
  const { store, client } = clientPlace(settings);
  const bucket = bucketAt(store);
  if (bucket !== undefined) await fetchAccounts(system, bucket, client);
}

/** An unlocked key record, and how it is compared with this machine's memory. */
export interface OpenedKeys {
  readonly record: KeyRecord;
  readonly keys: readonly MasterKey[];
  readonly options: KeyMemoryOptions;
}

/**
 * Returns true if the keys are proven. Returns false if the catalog cannot be read to prove them; a check uses the keys
 * even then. Throws the errors of `proveOpened`.
 */
async function isProven(
  system: System,
  settings: UnlockSettings,
  opened: OpenedKeys,
): Promise<boolean> {
  const { proveOpened } = await import('./prove-keys.js'); // most runs need no proof
  try {
    await proveOpened(system, settings, opened);
    return true;
  } catch (error) {
    if (asTardisError(error).code !== 'CATALOG_DAMAGED' && !isBadSector(error)) throw error;
    return false;
  }
}

/**
 * Compares an unlocked key record of a local store with this machine's memory, and then remembers it. Throws
 * STORE_ROLLED_BACK, KEYS_CHANGED, ENCRYPTION_GONE.
 */
export function rememberOpened(
  settings: IdentitySettings,
  record: KeyRecord,
  keys: readonly MasterKey[],
  options?: KeyMemoryOptions,
): void {
  const identity = identityAt(settings, undefined);
  for (const failure of rememberKeyRecord(record, keys, options)) identity.warn(failure);
  identity.meet(record, keys);
}

/** Compares like `rememberOpened`, but remembers nothing. Throws STORE_ROLLED_BACK, KEYS_CHANGED, ENCRYPTION_GONE. */
export function compareOpened(
  settings: IdentitySettings,
  record: KeyRecord,
  keys: readonly MasterKey[],
  options?: KeyMemoryOptions,
): void {
  compareKeys(record, options);
  identityAt(settings, undefined).compare(record, keys);
}

/**
 * Compares the key record of a store with this machine's memory. It is used by tools that have the password, before
 * they change the record or copy its keys. The record is unlocked only if it differs from the remembered one. Returns a
 * function that remembers the record, which the caller calls after success. Throws KEYS_CHANGED, ENCRYPTION_GONE,
 * LOGIN_FAILED.
 */
export async function checkShown(
  settings: IdentitySettings & { readonly keysFile?: Buffer | undefined },
  shown: KeyRecord | undefined,
  password: Buffer | undefined,
): Promise<() => void> {
  const identity = identityAt(settings, undefined);
  if (identity.isKnown(shown)) return () => undefined;
  if (shown?.isEncrypting !== true) {
    identity.requirePlain();
    return () => identity.rememberPlain();
  }
  const { keysFile, client } = settings;
  const record = shown.hasKeys ? shown : wholeRecord(shown, keyFileOf({ keysFile }), client)!;
  const { keys } = await unlockKeyRecord(record, password ?? NO_PASSWORD);
  identity.compare(record, keys);
  return () => identity.meet(record, keys);
}

/** True if a password was given, so that no prompt is needed. */
export function hasPassword({ sources }: Sourced): boolean {
  return ['password', 'passwordFile', 'passwordProg'].some((name) => sources.has(name));
}

/** Returns the error for a password that is given for a client without one. The store may not be the intended one. */
function passwordNotSet(client: string): TardisError {
  return new TardisError(
    'PASSWORD_NOT_SET',
    `a password was given, but the client "${client}" has none in this store`,
  );
}

export function promptFor(client: string, account?: string): { prompt: string; isNew: false } {
  return { prompt: `Password of ${ownerOf(client, account)}`, isNew: false };
}

export function promptForNew(client: string, account?: string): { prompt: string; isNew: true } {
  return { prompt: `New password of ${ownerOf(client, account)}`, isNew: true };
}

function ownerOf(client: string, account: string | undefined): string {
  return account === undefined ? client : `the account ${account} of ${client}`;
}
