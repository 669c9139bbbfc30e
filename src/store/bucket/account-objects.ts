/**
 * The accounts of clients in a bucket. One object has all accounts of a client, and each change creates the next
 * object (record-chain.ts). A machine keeps the newest object that it has read, and never goes back to an earlier one.
 * The list belongs to one client and its keys: it does not count for another client with that name, or after the keys
 * were replaced.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { asTardisError, TardisError } from '../../errors/index.js';
import { type RightName, RIGHTS } from '../../model/index.js';
import { BoundedCache, readStart, type System, writeNew } from '../../system/index.js';
import { type BucketAccess, bucketAt } from '../client/bucket-access.js';
import { keysetAt } from '../client/key-files.js';
import { accountsPrefix, chainedObject } from '../layout/bucket-names.js';
import { isClientName } from '../layout/client-name.js';
import { readFormat } from '../layout/format-file.js';
import { KNOWN_ACCOUNTS_DIRECTORY } from '../layout/layout.js';
import { fetchClient } from './client-object.js';
import { type ChainRecord, damaged, parseChained, RecordChain } from './record-chain.js';
import { sharedStore } from './shared-stores.js';

/** Maximum number of accounts of one client. */
export const MAX_ACCOUNTS = 1000;
const MAX_BYTES: number = 4 << 20;
const MAX_KEY_BYTES: number = 64 << 10;
/** Maximum number of attempts at a change, each of which fails if another machine makes a change first. */
const MAX_TRIES = 20;
/** Maximum number of lists that are kept parsed. */
const MAX_PARSED = 64;

const ID_BYTES = 8;

interface AccountEntry {
  readonly rights: readonly RightName[];
  /** Key record of the account's password; undefined for an account with a token. */
  readonly keys?: Buffer;
  /** SHA-256 of the secret of its token. */
  readonly token?: Buffer;
}

type AccountEntries = ReadonlyMap<string, AccountEntry>;

/** The content of an object, and the client that it belongs to. */
interface AccountList {
  readonly client: string;
  readonly clientId: string;
  /** Id of the client's keys, in hexadecimal; empty if it has no password. */
  readonly keyset: string;
  readonly accounts: AccountEntries;
}

/** A client in a bucket, and its directory in the cache. */
interface Home {
  readonly system: System;
  readonly client: string;
  readonly directory: string;
}

interface Known {
  readonly record: ChainRecord;
  readonly list: AccountList;
}

const NO_ACCOUNTS: AccountEntries = new Map();
const parsed = new BoundedCache<string, Known>(MAX_PARSED);

/**
 * Returns the accounts of a client, as this machine has fetched them; undefined for a client that lies in a directory.
 * Throws ACCOUNTS_DAMAGED if the fetched object is damaged.
 */
export function accountsHere(system: System, directory: string): AccountEntries | undefined {
  if (bucketAt(path.dirname(directory)) === undefined) return undefined;
  const home = { system, client: path.basename(directory), directory };
  const known = knownHere(home);
  return known !== undefined && isOfKeys(home, known.list) ? known.list.accounts : NO_ACCOUNTS;
}

/**
 * Fetches the accounts of a client to this machine, with one request if none has changed. Throws ACCOUNTS_DAMAGED if
 * the newest object is damaged.
 */
export async function fetchAccounts(
  system: System,
  access: BucketAccess,
  client: string,
): Promise<void> {
  const home = { system, client, directory: path.join(access.cache, client) };
  const known = knownHere(home)?.record;
  const newest = await (await chainOf(home, access)).follow(known);
  if (newest !== undefined && newest.number !== known?.number) await keep(home, newest);
}

/**
 * Changes the accounts of a client in its bucket. `change` gets the present accounts, and is called again if another
 * machine has changed them first. Durable when it resolves. Throws the errors of `change`, NOT_PERMITTED for more than
 * MAX_ACCOUNTS, STORE_TAKEN if other machines change them each time, and ACCOUNTS_DAMAGED if the present object is
 * damaged.
 */
export async function changeAccounts(
  system: System,
  directory: string,
  change: (accounts: AccountEntries) => AccountEntries,
): Promise<void> {
  const access = bucketAt(path.dirname(directory));
  if (access === undefined) throw new Error('the client is in no bucket');
  await (await sharedStore(system, access)).admit();
  const home = { system, client: path.basename(directory), directory };
  const chain = await chainOf(home, access);
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const before = await chain.newest(knownHere(home)?.record);
    if (before !== undefined) {
      await keep(home, before);
      // The list may belong to newer keys than this machine has. A new list for the older keys would make all its
      // accounts invalid.
      if (!isPresent(home, listIn(before, home.client))) {
        await fetchClient(system, access, home.client);
      }
    }
    const accounts = change(accountsHere(system, directory) ?? NO_ACCOUNTS);
    if (accounts.size > MAX_ACCOUNTS) {
      const what = `the client "${home.client}" has ${MAX_ACCOUNTS} accounts already`;
      throw new TardisError('NOT_PERMITTED', what);
    }
    const made = await chain.append(before, bodyOf(home, accounts), system);
    if (made === undefined) continue;
    await keep(home, made);
    return;
  }
  throw new TardisError('STORE_TAKEN', `other machines change the accounts of "${home.client}"`);
}

async function chainOf({ system, client }: Home, access: BucketAccess): Promise<RecordChain> {
  const { store } = await sharedStore(system, access);
  return new RecordChain(store, { prefix: accountsPrefix(client), maxBytes: MAX_BYTES });
}

function fileOf({ client, directory }: Home): string {
  return keptFile(path.dirname(directory), client);
}

/** Returns the newest list of the present client that this machine has read; undefined if there is none. */
function knownHere(home: Home): Known | undefined {
  const { files } = home.system;
  const bytes = readStart(files, fileOf(home), MAX_BYTES + 1);
  if (bytes === undefined) return undefined;
  const known = parsedOnce(home.client, bytes);
  // A list of an earlier client with this name does not count for the present client.
  return known?.list.clientId === clientIdOf(home) ? known : undefined;
}

/**
 * Returns the parsed content of the file on this machine; undefined if it is damaged, so that it is fetched again.
 */
function parsedOnce(client: string, bytes: Buffer): Known | undefined {
  const key = `${client} ${createHash('sha256').update(bytes).digest('hex')}`;
  const there = parsed.get(key);
  if (there !== undefined) return there;
  let known: Known;
  try {
    const record = parseChained(bytes, KNOWN_ACCOUNTS_DIRECTORY);
    known = { record, list: listIn(record, client) };
  } catch {
    return undefined; // fetching it reports what is wrong with the object
  }
  parsed.set(key, known);
  return known;
}

/** Stores a list on this machine. Throws ACCOUNTS_DAMAGED if the record has no list of this client. */
async function keep(home: Home, record: ChainRecord): Promise<void> {
  listIn(record, home.client);
  const { system, directory } = home;
  if (system.files.status(directory) === undefined) return; // there is no such client
  await keepRecord(system, fileOf(home), record, () => knownHere(home)?.record.number);
}

function clientIdOf({ system, directory }: Home): string | undefined {
  return readFormat(system.files, directory)?.clientId;
}

/** True if a list belongs to the client and the keys that this machine has. */
function isPresent(home: Home, list: AccountList): boolean {
  return list.clientId === clientIdOf(home) && isOfKeys(home, list);
}

/**
 * True if a list belongs to the present keys of its client. False if these keys are lost: every token is then rejected
 * as a wrong one.
 */
function isOfKeys({ system, directory }: Home, { keyset }: AccountList): boolean {
  try {
    return keyset === keysetAt(system, directory);
  } catch (error) {
    if (asTardisError(error).code !== 'KEYS_LOST') throw error;
    return false;
  }
}

function bodyOf(home: Home, accounts: AccountEntries): ChainRecord['body'] {
  const { system, client, directory } = home;
  const entries = [...accounts].map(([name, { rights, keys, token }]) => [
    name,
    {
      rights,
      ...(keys === undefined ? {} : { keys: keys.toString('base64') }),
      ...(token === undefined ? {} : { token: token.toString('hex') }),
    },
  ]);
  const clientId = clientIdOf(home);
  if (clientId === undefined) {
    throw new TardisError('NO_SUCH_CLIENT', `there is no client "${client}" any more`);
  }
  const keyset = keysetAt(system, directory);
  return { client, clientId, keyset, accounts: Object.fromEntries(entries) as unknown };
}

/**
 * Returns the list in an object, which is untrusted, since anybody with the access key may have written it. Throws
 * ACCOUNTS_DAMAGED if it has a wrong shape or is that of another client.
 */
function listIn({ number, body }: ChainRecord, client: string): AccountList {
  const name = chainedObject(accountsPrefix(client), number);
  const { client: of, clientId, keyset, accounts } = body;
  if (of !== client) throw damaged(name, 'is that of another client');
  const isOfClient = typeof clientId === 'string' && typeof keyset === 'string';
  if (!isOfClient || typeof accounts !== 'object' || accounts === null) {
    throw damaged(name, 'has a wrong shape');
  }
  const entries = Object.entries(accounts as Readonly<Record<string, unknown>>);
  if (entries.length > MAX_ACCOUNTS) throw damaged(name, 'has too many accounts');
  const read = entries.map(([account, value]): [string, AccountEntry] => {
    const entry = isClientName(account) ? entryIn(value) : undefined;
    if (entry === undefined) throw damaged(name, 'has an account of a wrong shape');
    return [account, entry];
  });
  return { client, clientId, keyset, accounts: new Map(read) };
}

function entryIn(value: unknown): AccountEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { rights, keys, token } = value as Readonly<Record<string, unknown>>;
  if (!Array.isArray(rights)) return undefined;
  const known = RIGHTS.filter((right) => rights.includes(right));
  if (known.length !== rights.length) return undefined;
  if (keys === undefined) {
    const isToken = typeof token === 'string' && /^[0-9a-f]{64}$/.test(token);
    return isToken ? { rights: known, token: Buffer.from(token, 'hex') } : undefined;
  }
  const isKeys = typeof keys === 'string' && keys !== '' && keys.length <= MAX_KEY_BYTES;
  return isKeys && token === undefined
    ? { rights: known, keys: Buffer.from(keys, 'base64') }
    : undefined;
}

/** Returns the file in a cache that has the newest record with a name. */
export function keptFile(cache: string, name: string): string {
  return path.join(cache, KNOWN_ACCOUNTS_DIRECTORY, `${name}.json`);
}

/**
 * Writes a record to its file, unless the file has a newer one. `keptNumber` returns the number of the record in the
 * file. It is called again right before the file is replaced, so that a slow request does not bring an earlier record
 * back.
 */
export async function keepRecord(
  { files, random }: System,
  file: string,
  { number, bytes }: ChainRecord,
  keptNumber: () => number | undefined,
): Promise<void> {
  const isNewer = (): boolean => number > (keptNumber() ?? 0);
  if (!isNewer()) return;
  const folder = path.dirname(file);
  if (files.status(folder) === undefined) files.makeDirectory(folder, true);
  const fresh = `${file}.${random.bytes(ID_BYTES).toString('hex')}`;
  await writeNew(files, fresh, bytes, { isSecret: true });
  if (isNewer()) files.rename(fresh, file);
  else files.unlink(fresh);
}
