/**
 * Sub-accounts of a client, as files in its directory: `accounts/NAME/` has `rights`, one line of words, and
 * `keys/`, key records of its own around the client's keys. Only who holds the store's machine writes them.
 */
import path from 'node:path';
import { asTardisError, TardisError } from '../errors/index.js';
import { type RightName, RIGHTS } from '../model/index.js';
import { readStart, replaceFile, type System } from '../system/index.js';
import { isClientName, shownName } from './client-name.js';
import { addKeys, dropKeys, hasKeys } from './key-files.js';
import { KEYS_DIRECTORY, RIGHTS_FILE, SUB_ACCOUNTS_DIRECTORY } from './layout.js';

/** Of one client. */
const MAX_ACCOUNTS = 1000;
const MAX_RIGHTS_BYTES = 256;

export interface SubAccount {
  readonly name: string;
  readonly rights: readonly RightName[];
}

/** Throws ACCOUNT_INVALID before a name can reach a path. */
export function accountDirectory(client: string, name: string): string {
  if (!isClientName(name)) {
    throw new TardisError('ACCOUNT_INVALID', `"${shownName(name)}" is no name of an account`);
  }
  return path.join(client, SUB_ACCOUNTS_DIRECTORY, name);
}

/** Where the key records of a client are, or those of one of its sub-accounts. Throws ACCOUNT_INVALID. */
export function loginDirectory(client: string, account: string | undefined): string {
  return account === undefined || account === '' ? client : accountDirectory(client, account);
}

/** Throws NO_SUCH_ACCOUNT, ACCOUNT_INVALID. */
export function requireAccount(system: System, client: string, name: string): void {
  if (!isAccount(system, client, name)) throw noSuchAccount(name);
}

function noSuchAccount(name: string): TardisError {
  return new TardisError('NO_SUCH_ACCOUNT', `the client has no account "${name}"`);
}

/** Words in any order, each once. Throws ACCOUNT_INVALID. */
export function parseRights(words: readonly string[]): RightName[] {
  for (const word of words) {
    if (RIGHTS.some((right) => right === word)) continue;
    const known = RIGHTS.join(', ');
    throw new TardisError('ACCOUNT_INVALID', `"${shownName(word)}" is no right (${known})`);
  }
  return RIGHTS.filter((right) => words.includes(right));
}

/** Throws NO_SUCH_ACCOUNT; ACCOUNT_INVALID when its file makes no sense: then it has none. */
export function readRights({ files }: System, client: string, name: string): RightName[] {
  const file = path.join(accountDirectory(client, name), RIGHTS_FILE);
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

/** Whether somebody may log in by it: one that was being made when the machine stopped has no rights yet. */
export function isAccount(system: System, client: string, name: string): boolean {
  const directory = accountDirectory(client, name);
  const hasRights = system.files.status(path.join(directory, RIGHTS_FILE)) !== undefined;
  return hasRights && hasKeys(system, directory);
}

function rightsIfAny(system: System, client: string, name: string): RightName[] {
  try {
    return readRights(system, client, name);
  } catch (error) {
    if (asTardisError(error).code === 'ACCOUNT_INVALID') return [];
    throw error;
  }
}

/** By name; one whose file makes no sense has no rights. Throws NOT_PERMITTED for too many. */
export function listAccounts(system: System, client: string): SubAccount[] {
  const folder = path.join(client, SUB_ACCOUNTS_DIRECTORY);
  if (system.files.status(folder) === undefined) return [];
  const names = system.files.list(folder).filter(isClientName).toSorted();
  if (names.length > MAX_ACCOUNTS) {
    throw new TardisError('NOT_PERMITTED', `the client has more than ${MAX_ACCOUNTS} accounts`);
  }
  return names
    .filter((name) => isAccount(system, client, name))
    .map((name) => ({ name, rights: rightsIfAny(system, client, name) }));
}

/** For who takes the keys out of the store: accounts have them there too. Throws NOT_PERMITTED. */
export function requireNoAccounts(system: System, client: string): void {
  if (listAccounts(system, client).length === 0) return;
  const why = 'accounts of the client have its keys too: remove them (`sonic account --remove`)';
  throw new TardisError('NOT_PERMITTED', why);
}

/**
 * Makes a sub-account with a key record, or gives one other rights. Durable when it returns. The rights come
 * last: what is there without them was not made, or not removed, to the end. Throws DISK_FULL and the like.
 */
export async function putAccount(
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
    if (keys !== undefined) {
      dropKeys(system, directory);
      await addKeys(system, directory, { number: 1, bytes: keys });
    }
    const file = path.join(directory, RIGHTS_FILE);
    await replaceFile(files, file, Buffer.from(`${rights.join(' ')}\n`));
    for (const changed of [folder, client]) await files.syncDirectory(changed);
  } catch (error) {
    throw asTardisError(error, `writing ${directory}`);
  }
}

/** Nobody logs in by it any more, and a server soon ends its sessions. Throws NO_SUCH_ACCOUNT. */
export async function removeAccount(system: System, client: string, name: string): Promise<void> {
  const { files } = system;
  requireAccount(system, client, name);
  const directory = accountDirectory(client, name);
  try {
    files.unlink(path.join(directory, RIGHTS_FILE));
    await files.syncDirectory(directory);
    dropKeys(system, directory);
    if (hasKeys(system, directory)) files.removeDirectory(path.join(directory, KEYS_DIRECTORY));
    files.removeDirectory(directory);
    await files.syncDirectory(path.dirname(directory));
  } catch (error) {
    throw asTardisError(error, `removing ${directory}`);
  }
}
