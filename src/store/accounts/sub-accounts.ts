/**
 * Sub-accounts of a client, stored as files in its directory. `accounts/NAME/` contains `rights`, one line of words,
 * and `keys/`, in which the account has key records of its own for the client's keys. Only the operator of the store's
 * machine writes these files. In a bucket, one object has all accounts of a client
 * (src/store/bucket/account-objects.ts), and this machine has a copy of it.
 */
import path from 'node:path';
import { asTardisError, isBadSector, TardisError, usageError } from '../../errors/index.js';
import { type RightName, RIGHTS } from '../../model/index.js';
import {
  failedStoreWrite,
  readStart,
  replaceFile,
  type System,
  unlinkIfThere,
} from '../../system/index.js';
import { accountsHere, changeAccounts, MAX_ACCOUNTS } from '../bucket/account-objects.js';
import { lockAccounts, withAccountsAtRest } from '../client/client-lock.js';
import { isClientName, shownName } from '../layout/client-name.js';
import {
  addKeys,
  areKeysLost,
  dropKeyFolders,
  dropKeys,
  hasKeys,
  type KeyFault,
  keyFaults,
  lostKeys,
  mendKeys,
  neededBy,
  newestKeys,
  noteNeededKeys,
  type StoredKeys,
} from '../client/key-files.js';
import {
  KEY_COPIES_DIRECTORY,
  RIGHTS_FILE,
  SUB_ACCOUNTS_DIRECTORY,
  TOKEN_FILE,
} from '../layout/layout.js';

const MAX_RIGHTS_BYTES = 256;

export interface SubAccount {
  readonly name: string;
  readonly rights: readonly RightName[];
}

/** Returns the directory of an account. Throws ACCOUNT_INVALID for a bad name, which must not be used in a path. */
export function accountDirectory(client: string, name: string): string {
  if (!isClientName(name)) {
    throw new TardisError('ACCOUNT_INVALID', `"${shownName(name)}" is no name of an account`);
  }
  return path.join(client, SUB_ACCOUNTS_DIRECTORY, name);
}

/**
 * Returns the newest key record of a client, or of one of its accounts if an account is given; undefined if there is
 * none. Throws ACCOUNT_INVALID for a bad name, and the errors of `newestKeys`.
 */
export function loginKeys(
  system: System,
  client: string,
  account: string | undefined,
): StoredKeys | undefined {
  if (account === undefined || account === '') return newestKeys(system, client);
  const own = accountDirectory(client, account);
  const shared = accountsHere(system, client);
  if (shared === undefined) return newestKeys(system, own);
  const bytes = shared.get(account)?.keys;
  return bytes && { number: 1, bytes };
}

/** Throws NO_SUCH_ACCOUNT if the account does not exist, ACCOUNT_INVALID for a bad name. */
export function requireAccount(system: System, client: string, name: string): void {
  if (!isAccount(system, client, name)) throw noSuchAccount(name);
}

function noSuchAccount(name: string): TardisError {
  return new TardisError('NO_SUCH_ACCOUNT', `the client has no account "${name}"`);
}

/** Parses names of rights, in any order, and removes duplicates. Throws ACCOUNT_INVALID for an unknown right. */
export function parseRights(words: readonly string[]): RightName[] {
  for (const word of words) {
    if (RIGHTS.some((right) => right === word)) continue;
    const known = RIGHTS.join(', ');
    throw new TardisError('ACCOUNT_INVALID', `"${shownName(word)}" is no right (${known})`);
  }
  return RIGHTS.filter((right) => words.includes(right));
}

/**
 * Reads the rights of an account. Throws NO_SUCH_ACCOUNT if it does not exist or has no rights file. Throws
 * ACCOUNT_INVALID for a bad name, or if the rights file is malformed; the account then has no rights.
 */
export function readRights(system: System, client: string, name: string): RightName[] {
  const { files } = system;
  const file = path.join(accountDirectory(client, name), RIGHTS_FILE);
  const shared = accountsHere(system, client);
  if (shared !== undefined) {
    const account = shared.get(name);
    if (account === undefined) throw noSuchAccount(name);
    return [...account.rights];
  }
  const bytes = readStart(files, file, MAX_RIGHTS_BYTES + 1);
  if (bytes === undefined) throw noSuchAccount(name);
  if (bytes.length > MAX_RIGHTS_BYTES) {
    throw new TardisError('ACCOUNT_INVALID', `${file} is too long`);
  }
  return parseRights(
    bytes
      .toString('latin1')
      .split(/\s+/)
      .filter((word) => word !== ''),
  );
}

/** True if a login by this account is possible. An account whose creation was interrupted has no rights file yet. */
export function isAccount(system: System, client: string, name: string): boolean {
  const directory = accountDirectory(client, name);
  const shared = accountsHere(system, client);
  if (shared !== undefined) return shared.get(name)?.keys !== undefined;
  const hasRights = system.files.status(path.join(directory, RIGHTS_FILE)) !== undefined;
  return hasRights && hasKeys(system, directory);
}

/** Returns the rights of an account; none if its rights file is missing, malformed, or on a bad sector. */
export function rightsIfAny(system: System, client: string, name: string): RightName[] {
  try {
    return readRights(system, client, name);
  } catch (error) {
    const { code } = asTardisError(error);
    const isKnown = code === 'ACCOUNT_INVALID' || code === 'NO_SUCH_ACCOUNT' || isBadSector(error);
    if (!isKnown) throw error;
    return [];
  }
}

/**
 * Returns all accounts, sorted by name. An account with a malformed rights file has no rights. Throws NOT_PERMITTED if
 * there are too many.
 */
export function listAccounts(system: System, client: string): SubAccount[] {
  return accountNames(system, client)
    .filter((name) => isAccount(system, client, name))
    .map((name) => ({ name, rights: rightsIfAny(system, client, name) }));
}

/** Returns the names of all accounts that have a directory, sorted. Throws NOT_PERMITTED if there are too many. */
export function accountNames(system: System, client: string): string[] {
  const shared = accountsHere(system, client);
  if (shared !== undefined) return [...shared.keys()].toSorted();
  const folder = path.join(client, SUB_ACCOUNTS_DIRECTORY);
  if (system.files.status(folder) === undefined) return [];
  const names = system.files.list(folder).filter(isClientName).toSorted();
  if (names.length > MAX_ACCOUNTS) {
    throw new TardisError('NOT_PERMITTED', `the client has more than ${MAX_ACCOUNTS} accounts`);
  }
  return names;
}

/**
 * An account without any rights. Its rights file is malformed or empty (`senseless`), or is missing although the
 * account's keys exist (`gone`).
 */
interface AccountFault {
  readonly account: string;
  readonly state: 'senseless' | 'gone';
}

/**
 * Returns the faulty accounts. Accounts in a bucket have none, since they are one object. An account that is being added
 * or removed looks faulty, so a fault is looked for again when that has ended. Throws NOT_PERMITTED if there are too many
 * accounts.
 */
export async function accountFaults(system: System, client: string): Promise<AccountFault[]> {
  if (accountsHere(system, client) !== undefined) return [];
  const look = (): AccountFault[] => faultsNow(system, client);
  return look().length === 0 ? [] : await withAccountsAtRest(system, client, look);
}

function faultsNow(system: System, client: string): AccountFault[] {
  return accountNames(system, client).flatMap((account): AccountFault[] => {
    if (!hasKeys(system, accountDirectory(client, account))) return [];
    if (!isAccount(system, client, account)) return [{ account, state: 'gone' }];
    const hasRights = rightsIfAny(system, client, account).length > 0;
    return hasRights ? [] : [{ account, state: 'senseless' }];
  });
}

/**
 * Throws NOT_PERMITTED if the client has accounts. Call it before the keys are moved out of the store, since the key
 * records of accounts contain them too.
 */
export function requireNoAccounts(system: System, client: string): void {
  if (listAccounts(system, client).length === 0) return;
  const why = 'accounts of the client have its keys too: remove them (`sonic account --remove`)';
  throw new TardisError('NOT_PERMITTED', why);
}

/**
 * Creates a sub-account with the key record `keys`; if `keys` is undefined, changes the rights of an existing account.
 * The change is durable when the promise resolves. Throws USAGE for a new account whose name has a token (in a bucket, any
 * name in use), NO_SUCH_ACCOUNT for a change of an account that does not exist, CLIENT_BUSY if other accounts are being
 * changed.
 */
export async function putAccount(
  system: System,
  client: string,
  account: SubAccount,
  keys: Buffer | undefined,
): Promise<void> {
  const directory = accountDirectory(client, account.name);
  if (accountsHere(system, client) !== undefined) {
    await putInBucket(system, client, account, keys);
    return;
  }
  using _lock = await lockAccounts(system, client);
  const isThere = (file: string): boolean => system.files.status(file) !== undefined;
  if (keys === undefined && !isThere(directory)) throw noSuchAccount(account.name);
  if (keys !== undefined && isThere(path.join(directory, TOKEN_FILE)))
    throw accountExists(account.name);
  await writeAccount(system, client, account, keys);
}

/**
 * Writes the files of an account as `putAccount` does, with the lock of the accounts held. The rights are written last,
 * so an account without rights was not completely created or removed.
 */
export async function writeAccount(
  system: System,
  client: string,
  { name, rights }: SubAccount,
  keys: Buffer | undefined,
): Promise<void> {
  const { files } = system;
  const directory = accountDirectory(client, name);
  const folder = path.dirname(directory);
  try {
    if (files.status(folder) === undefined) files.makeDirectory(folder);
    if (files.status(directory) === undefined) files.makeDirectory(directory);
    makeCopyFolder(system, directory);
    if (keys !== undefined) {
      dropKeys(system, directory);
      await addKeys(system, directory, { number: 1, bytes: keys });
    }
    const file = path.join(directory, RIGHTS_FILE);
    await replaceFile(files, file, Buffer.from(`${rights.join(' ')}\n`));
    for (const changed of [folder, client]) await files.syncDirectory(changed);
  } catch (error) {
    throw failedStoreWrite(files, directory, error);
  }
}

async function putInBucket(
  system: System,
  client: string,
  { name, rights }: SubAccount,
  keys: Buffer | undefined,
): Promise<void> {
  await changeAccounts(system, client, (accounts) => {
    const there = accounts.get(name);
    if (keys === undefined && there === undefined) throw noSuchAccount(name);
    if (keys !== undefined && there !== undefined) throw accountExists(name);
    return new Map(accounts).set(name, { ...there, rights, ...(keys && { keys }) });
  });
}

/** Returns the error for a new account whose name is in use. */
export function accountExists(name: string): TardisError {
  return usageError(`the client already has an account "${name}"`);
}

/**
 * Removes an account. It cannot log in any more, and a server soon ends its sessions. Throws NO_SUCH_ACCOUNT if there
 * is no such account, CLIENT_BUSY if other accounts are being changed.
 */
export async function removeAccount(system: System, client: string, name: string): Promise<void> {
  const { files } = system;
  const directory = accountDirectory(client, name);
  if (accountsHere(system, client) !== undefined) {
    await changeAccounts(system, client, (accounts) => {
      const left = new Map(accounts);
      if (!left.delete(name)) throw noSuchAccount(name);
      return left;
    });
    return;
  }
  using _lock = await lockAccounts(system, client);
  const token = path.join(directory, TOKEN_FILE);
  const hasToken = files.status(token) !== undefined;
  if (!hasToken) requireAccount(system, client, name);
  const rights = path.join(directory, RIGHTS_FILE);
  try {
    unlinkIfThere(files, rights);
    if (hasToken) files.unlink(token);
    await files.syncDirectory(directory);
    dropKeys(system, directory);
    dropKeyFolders(system, directory);
    files.removeDirectory(directory);
    await files.syncDirectory(path.dirname(directory));
  } catch (error) {
    throw asTardisError(error, `removing ${directory}`, 'writeStore');
  }
}

/**
 * Creates the folder that contains an account's key copy. It is named like the packs' folder, though an account has no
 * packs.
 */
function makeCopyFolder({ files }: System, directory: string): void {
  const folder = path.join(directory, path.dirname(KEY_COPIES_DIRECTORY));
  if (files.status(folder) === undefined) files.makeDirectory(folder);
}

/** State of the key records of a client and its accounts. */
export interface KeysState {
  /** Files of key records that are missing, or differ from the newest record, which is intact. */
  readonly faults: readonly KeyFault[];
  /**
   * Directories in which neither file of the newest key record is intact, relative to the client's directory. The empty
   * string stands for the client's own key records.
   */
  readonly lost: readonly string[];
  /** True if no key record of the client itself is left in either place. */
  readonly isGone: boolean;
}

/** Returns the state of the key records of a client and of its accounts. */
export function stateOfKeys(system: System, client: string): KeysState {
  const isGone = lostKeys(system, client) !== 'none';
  const directories = keyDirectories(system, client).slice(isGone ? 1 : 0);
  const of = (directory: string): string => path.join(client, directory);
  return {
    faults: directories.flatMap((directory) =>
      keyFaults(system, of(directory)).map((fault) => below(directory, fault)),
    ),
    lost: directories.filter((directory) => areKeysLost(system, of(directory))),
    isGone,
  };
}

/**
 * Repairs the key records of a client and its accounts where possible, and returns the repaired faults. Records in the
 * format file which kind of key records the client needs. Call with the client's lock held. Throws CLIENT_BUSY if
 * accounts are being changed, whose key records are then left.
 */
export async function mendAllKeys(system: System, client: string): Promise<KeyFault[]> {
  const isGone = lostKeys(system, client) !== 'none';
  const mended = isGone ? [] : await mendKeys(system, client);
  if (!isGone && !areKeysLost(system, client)) {
    await noteNeededKeys(system, client, neededBy(newestKeys(system, client)));
  }
  if (keyDirectories(system, client).length === 1) return mended;
  using _lock = await lockAccounts(system, client); // an account that is being removed must not get files again
  for (const directory of keyDirectories(system, client).slice(1)) {
    const full = path.join(client, directory);
    makeCopyFolder(system, full);
    for (const fault of await mendKeys(system, full)) mended.push(below(directory, fault));
  }
  return mended;
}

function below(directory: string, fault: KeyFault): KeyFault {
  return { ...fault, file: path.join(directory, fault.file) };
}

/** Returns the directories with key records, relative to the client's directory: its own, and those of its accounts. */
function keyDirectories(system: System, client: string): string[] {
  if (accountsHere(system, client) !== undefined) return [''];
  const accounts = listAccounts(system, client);
  return ['', ...accounts.map(({ name }) => path.join(SUB_ACCOUNTS_DIRECTORY, name))];
}
