/**
 * The files of the accounts that own clients, for a store in a bucket. One object has all of them, and each change
 * creates the next object (record-chain.ts). A machine keeps the newest object that it has read, and never goes back
 * to an earlier one.
 */
import { TardisError } from '../../errors/index.js';
import { readStart, type System } from '../../system/index.js';
import { isClientName } from '../layout/client-name.js';
import type { ObjectStore } from '../objects/index.js';
import { type BucketAccess, bucketAt } from '../client/bucket-access.js';
import { keepRecord, keptFile } from './account-objects.js';
import { ACCOUNT_FILES_PREFIX, chainedObject } from '../layout/bucket-names.js';
import { type ChainRecord, damaged, parseChained, RecordChain } from './record-chain.js';
import { sharedStore } from './shared-stores.js';

export const MAX_ACCOUNT_FILES = 256;
const MAX_BYTES: number = 16 << 20;
/** Name of the record in the cache; no client has this name. */
const KNOWN_NAME = '.store';
const MAX_TRIES = 20;

/** Texts of the files, by the names of the accounts. */
type AccountFiles = ReadonlyMap<string, string>;

const NO_FILES: AccountFiles = new Map();

/**
 * Returns the account files of a store in a bucket, as this machine has fetched them; undefined for a store in a
 * directory. Throws ACCOUNTS_DAMAGED if the fetched object has a wrong shape.
 */
export function accountFilesHere(system: System, store: string): AccountFiles | undefined {
  if (bucketAt(store) === undefined) return undefined;
  const known = knownHere(system, store);
  return known === undefined ? NO_FILES : filesIn(known);
}

/**
 * Fetches the account files of a store to this machine, with one request if nothing has changed. If this machine has
 * none, the objects are listed too: a lost first object would otherwise free all clients of their quotas. Throws
 * ACCOUNTS_DAMAGED if the newest object is damaged or missing.
 */
export async function fetchAccountFiles(system: System, access: BucketAccess): Promise<void> {
  const { store } = await sharedStore(system, access);
  const known = knownHere(system, access.cache);
  const chain = chainOf(store);
  const newest = await (known === undefined ? chain.newest(known) : chain.follow(known));
  if (newest === undefined || newest.number === known?.number) return;
  filesIn(newest);
  const file = keptFile(access.cache, KNOWN_NAME);
  await keepRecord(system, file, newest, () => knownHere(system, access.cache)?.number);
}

/**
 * Stores these files as the account files of a store, in place of all earlier ones. Returns false if the store has
 * equal files already. Throws ACCOUNTS_DAMAGED if the present object is damaged, NOT_PERMITTED if the files are too
 * large, and STORE_TAKEN if other machines change them each time.
 */
export async function putAccountFiles(
  system: Pick<System, 'random'>,
  store: ObjectStore,
  wanted: AccountFiles,
): Promise<boolean> {
  const chain = chainOf(store);
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const before = await chain.newest(undefined);
    if (isSame(wanted, before === undefined ? NO_FILES : filesIn(before))) return false;
    const body = { files: Object.fromEntries(wanted) };
    if ((await chain.append(before, body, system)) !== undefined) return true;
  }
  throw new TardisError('STORE_TAKEN', 'other machines change the accounts of the store');
}

function isSame(one: AccountFiles, other: AccountFiles): boolean {
  return one.size === other.size && [...one].every(([name, text]) => other.get(name) === text);
}

function chainOf(store: ObjectStore): RecordChain {
  return new RecordChain(store, { prefix: ACCOUNT_FILES_PREFIX, maxBytes: MAX_BYTES });
}

function knownHere({ files }: System, cache: string): ChainRecord | undefined {
  const bytes = readStart(files, keptFile(cache, KNOWN_NAME), MAX_BYTES + 1);
  if (bytes === undefined) return undefined;
  try {
    return parseChained(bytes, KNOWN_NAME);
  } catch {
    return undefined; // fetching it again reports what is wrong with the object
  }
}

/**
 * Returns the files in an object, which is untrusted, since anybody with the access key may have written it. Throws
 * ACCOUNTS_DAMAGED if it has a wrong shape.
 */
function filesIn({ number, body }: ChainRecord): AccountFiles {
  const name = chainedObject(ACCOUNT_FILES_PREFIX, number);
  const { files } = body;
  if (typeof files !== 'object' || files === null) throw damaged(name, 'has a wrong shape');
  const entries = Object.entries(files as Readonly<Record<string, unknown>>);
  if (entries.length > MAX_ACCOUNT_FILES) throw damaged(name, 'has too many accounts');
  const read = entries.map(([account, text]): [string, string] => {
    if (isClientName(account) && typeof text === 'string') return [account, text];
    throw damaged(name, 'has an account of a wrong shape');
  });
  return new Map(read);
}
