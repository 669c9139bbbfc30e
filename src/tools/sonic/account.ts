/**
 * Implements `sonic account`, which manages the sub-accounts of a client. Each sub-account has rights of its own, and
 * logs in by a password or a token. Only a user of the store's machine can grant rights. Adding an account with a
 * password needs the owner's password, since the account gets the owner's keys.
 */
import { randomBytes } from 'node:crypto';
import type { Settings } from '../../config/index.js';
import { type KeyRecord, newAccountRecord } from '../../crypto/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import type { RightName } from '../../model/index.js';
import {
  accountDirectory,
  addTokenAccount,
  isAccount,
  isTokenAccount,
  listAccounts,
  listTokenAccounts,
  mediumOf,
  openClientDirectory,
  parseRights,
  putAccount,
  removeAccount,
  requireAccount,
  tokenHash,
  withClient,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { adminHere } from '../opening/admin.js';
import { clientPlace, storeSystem } from '../opening/local-store.js';
import { compareShown, requireNewest } from '../opening/rollback.js';
import { requireNewPassword, requirePassword, stretchFor } from '../opening/password.js';
import { formatBytes, formatTable } from '../output/units.js';
import { print, printJson } from '../output/output.js';
import {
  bringAccounts,
  checkShown,
  keysOf,
  keysOfKnown,
  promptFor,
  promptForNew,
} from '../opening/keys.js';
import { printResult, requireOne } from './passwords.js';

const SECRET_BYTES = 32;

type Options = Settings<'sonic account'>;

export async function account(options: Options): Promise<void> {
  const { addAccount, changeAccount, removeAccount: gone, accountRights } = options;
  const names = [addAccount, changeAccount, gone].filter((name) => name !== undefined);
  if (names.length > 1) {
    throw usageError('give one of --add, --change and --remove');
  }
  const takesRights = addAccount !== undefined || changeAccount !== undefined;
  if (takesRights !== (accountRights !== undefined)) {
    throw usageError('--rights must be used with --add or --change, and they need --rights');
  }
  const system = storeSystem(options.umask);
  const { path: client } = openClientDirectory(system, clientPlace(options));
  compareShown(system, options);
  await bringAccounts(system, options);
  const [name] = names;
  if (options.accountQuota !== undefined) {
    if (name !== undefined) throw usageError('--quota is given alone');
    await setQuota(options, system, options.accountQuota);
    return;
  }
  if (name === undefined) {
    list(options, system, client);
    return;
  }
  accountDirectory(client, name); // checks the name before the user is prompted for a password
  if (options.accountToken && addAccount === undefined) {
    throw usageError('--token must be used with --add');
  }
  if (addAccount !== undefined) {
    if (options.accountToken) await addToken(options, system, addAccount, rightsIn(options));
    else await add(options, system, addAccount);
  } else if (changeAccount !== undefined) await change(options, system, changeAccount);
  else await remove(options, system, name);
}

async function setQuota(options: Options, system: System, quotaBytes: number): Promise<void> {
  const there = adminHere(system, options, undefined); // a quota needs no keys
  const { account: name, targets, beforeBytes } = await there.changeQuota(quotaBytes);
  const sizeText = (bytes: number): string => (bytes === 0 ? 'no quota' : formatBytes(bytes));
  const text = `The account "${name}" (${targets.join(', ')}) has ${sizeText(quotaBytes)} from now on; it had ${sizeText(beforeBytes)}.`;
  if (options.json) printJson({ account: name, targets, quotaBytes, beforeBytes });
  else print(text);
}

function list({ json, client }: Options, system: System, directory: string): void {
  const tokens = listTokenAccounts(system, directory).map((one) => ({ ...one, hasToken: true }));
  const accounts = [...listAccounts(system, directory), ...tokens];
  if (json) return printJson({ client, accounts });
  if (accounts.length === 0) print(`The client "${client}" has no other accounts.`);
  else {
    const rows = accounts.map(({ name, rights }) => [
      name,
      rights.join(' ') || 'none: its file is invalid',
      ...(tokens.some((one) => one.name === name) ? ['token'] : []),
    ]);
    print(formatTable(rows, []));
  }
}

async function add(options: Options, system: System, name: string): Promise<void> {
  const { client } = options;
  const rights = rightsIn(options);
  if (isTokenAccount(system, openClientDirectory(system, clientPlace(options)).path, name)) {
    throw usageError(`the client "${client}" already has an account "${name}"`);
  }
  const owner = requireOne(keysOfKnown(system, options), client);
  if (!owner.hasKeys) {
    const why = 'the keys are in a key file, and an account would put them back into the store';
    throw new TardisError('KEYS_ELSEWHERE', why);
  }
  const password = await requirePassword(options, promptFor(client));
  const remember = await checkShown(options, owner, password);
  if (owner.isEncrypting && !options.trustStore) requireNewest(system, options);
  const next = await requireNewPassword(options, promptForNew(client, name));
  const made = await newAccountRecord(system.native.modPow, owner, password, {
    password: next,
    parameters: stretchFor(options),
  });
  const directory = openClientDirectory(system, clientPlace(options));
  // While the lock is held, no other account is added, and no rewrite replaces the client.
  await withClient(system, directory, async () => {
    await mediumOf(system, directory).refreshKeys();
    requireSameKeys(owner, keysOf(system, clientPlace(options)), client);
    if (isAccount(system, directory.path, name)) {
      throw usageError(`the client "${client}" already has an account "${name}"`);
    }
    await putAccount(system, directory.path, { name, rights }, made.record.bytes);
  });
  remember();
  const text = `The account "${name}" of "${client}" may: ${rights.join(', ')}.`;
  printResult(options, text, { password: next, facts: { account: name } });
}

/**
 * Throws CLIENT_BUSY if the keys of a client were changed since they were read, for example during a password prompt.
 * An account with the old keys could not read later backups, or would restore old keys to the store.
 */
function requireSameKeys(before: KeyRecord, now: KeyRecord | undefined, client: string): void {
  if (now?.number === before.number && now.keysetId.equals(before.keysetId)) return;
  const what = `the keys of the client "${client}" were changed meanwhile: run this again`;
  throw new TardisError('CLIENT_BUSY', what);
}

async function change(options: Options, system: System, name: string): Promise<void> {
  const { client } = options;
  const rights = rightsIn(options);
  // The client's lock is not taken, so that a session of the account itself does not block the change.
  const { path: directory } = openClientDirectory(system, clientPlace(options));
  if (!isTokenAccount(system, directory, name)) requireAccount(system, directory, name);
  await putAccount(system, directory, { name, rights }, undefined);
  const text = `The account "${name}" of "${client}" may from now on: ${rights.join(', ')}.`;
  printResult(options, text, { facts: { account: name } });
}

async function remove(options: Options, system: System, name: string): Promise<void> {
  const { client } = options;
  const { path: directory } = openClientDirectory(system, clientPlace(options));
  await removeAccount(system, directory, name);
  const text = `The account "${name}" of "${client}" is removed.`;
  printResult(options, text, { facts: { account: name } });
}

function rightsIn({ accountRights }: Options): RightName[] {
  const words = (accountRights ?? '').split(/[\s,]+/).filter((word) => word !== '');
  const rights = parseRights(words);
  if (rights.length > 0) return rights;
  throw new TardisError('ACCOUNT_INVALID', '--rights contains no right');
}

/** Creates the account, and prints its token. The token cannot be printed again. Throws USAGE if the account exists. */
async function addToken(
  options: Settings<'sonic account'>,
  system: System,
  name: string,
  rights: readonly RightName[],
): Promise<void> {
  const { client, json } = options;
  const { path: directory } = openClientDirectory(system, clientPlace(options));
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  await addTokenAccount(system, directory, { name, rights }, tokenHash(secret));
  const token = `${client}/${name}/${secret}`;
  if (json) return printJson({ client, account: name, rights, token });
  print(`The account "${name}" of "${client}" may: ${rights.join(', ')}.`);
  print(`Its token, which is not shown again:\n  ${token}`);
}
