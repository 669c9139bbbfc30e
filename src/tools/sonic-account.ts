/**
 * `sonic account`: the sub-accounts of a client, each with a password and rights of its own. Only who holds the
 * store's machine gives rights; a new account needs the owner's password, whose keys it gets.
 */
import type { Found, Settings } from '../config/index.js';
import { newAccountRecord } from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import type { RightName } from '../model/index.js';
import {
  accountDirectory,
  isAccount,
  listAccounts,
  openClientDirectory,
  parseRights,
  putAccount,
  removeAccount,
  requireAccount,
  withClient,
} from '../store/index.js';
import type { System } from '../system/index.js';
import { requireNewPassword, requirePassword } from './password.js';
import { JSON_VERSION, print } from './run-tool.js';
import { requireOne, tell } from './sonic-passwords.js';
import { formatTable } from './units.js';
import { keysOf, promptFor } from './unlock.js';
import { clientPlace, storeSystem } from './local-store.js';

type Options = Settings<'sonic account'>;

export async function account(options: Options, found: ReadonlyMap<string, Found>): Promise<void> {
  const { addAccount, changeAccount, removeAccount: gone, accountRights } = options;
  const names = [addAccount, changeAccount, gone].filter((name) => name !== undefined);
  if (names.length > 1) {
    throw new TardisError('USAGE', 'give one of --add, --change and --remove');
  }
  const takesRights = addAccount !== undefined || changeAccount !== undefined;
  if (takesRights !== (accountRights !== undefined)) {
    throw new TardisError('USAGE', '--rights goes with --add and --change, and they with it');
  }
  const system = storeSystem(options.umask);
  const { path: client } = openClientDirectory(system, clientPlace(options));
  const [name] = names;
  if (name === undefined) {
    list(options, system, client);
    return;
  }
  accountDirectory(client, name); // a name that is none, before a password is asked for
  if (addAccount !== undefined) await add(options, found, system, addAccount);
  else if (changeAccount !== undefined) await change(options, system, changeAccount);
  else await remove(options, system, name);
}

function list({ json, client }: Options, system: System, directory: string): void {
  const accounts = listAccounts(system, directory);
  if (json) {
    print(JSON.stringify({ version: JSON_VERSION, client, accounts }));
    return;
  }
  if (accounts.length === 0) print(`The client "${client}" has no accounts but its own.`);
  else {
    const rows = accounts.map(({ name, rights }) => [
      name,
      rights.join(' ') || 'none: its file makes no sense',
    ]);
    print(formatTable(rows, []));
  }
}

async function add(
  options: Options,
  found: ReadonlyMap<string, Found>,
  system: System,
  name: string,
): Promise<void> {
  const { client } = options;
  const rights = rightsIn(options);
  const owner = requireOne(keysOf(system, clientPlace(options)), client);
  if (!owner.hasKeys) {
    const why = 'an account would bring the keys back into the store: they are in a key file';
    throw new TardisError('KEYS_ELSEWHERE', why);
  }
  const ask = promptFor(client);
  const password = await requirePassword(options, found, ask);
  const askNew = { prompt: `New password of the account ${name} of ${client}`, isNew: true };
  const next = await requireNewPassword(options, found, askNew);
  const made = await newAccountRecord(system.native.modPow, owner, password, next);
  const directory = openClientDirectory(system, clientPlace(options));
  // No other account is made, and no re-key switches, meanwhile.
  await withClient(system, directory, async () => {
    if (isAccount(system, directory.path, name)) {
      throw new TardisError('USAGE', `the client "${client}" has an account "${name}" already`);
    }
    await putAccount(system, directory.path, { name, rights }, made.record.bytes);
  });
  const text = `The account "${name}" of "${client}" may: ${rights.join(', ')}.`;
  tell(options.json, next, { client, account: name }, text);
}

async function change(options: Options, system: System, name: string): Promise<void> {
  const { client } = options;
  const rights = rightsIn(options);
  // Not under the client's lock: a session of the account itself must not hold this up.
  const { path: directory } = openClientDirectory(system, clientPlace(options));
  requireAccount(system, directory, name);
  await putAccount(system, directory, { name, rights }, undefined);
  const text = `The account "${name}" of "${client}" may from now on: ${rights.join(', ')}.`;
  tell(options.json, undefined, { client, account: name }, text);
}

async function remove(options: Options, system: System, name: string): Promise<void> {
  const { client } = options;
  const { path: directory } = openClientDirectory(system, clientPlace(options));
  await removeAccount(system, directory, name);
  const text = `The account "${name}" of "${client}" is removed.`;
  tell(options.json, undefined, { client, account: name }, text);
}

function rightsIn({ accountRights }: Options): RightName[] {
  const words = (accountRights ?? '').split(/[\s,]+/).filter((word) => word !== '');
  const rights = parseRights(words);
  if (rights.length > 0) return rights;
  throw new TardisError('ACCOUNT_INVALID', '--rights names none');
}
