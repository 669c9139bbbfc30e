/**
 * Accounts of a client that log in by a token instead of a password, for programs. `accounts/NAME/` contains `rights`
 * and `token`, the SHA-256 of the token's secret. Such an account has no keys, so it cannot decrypt the data of a
 * client that encrypts. A token has 256 random bits, so its hash needs no salt and no stretching.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import path from 'node:path';
import { usageError } from '../../errors/index.js';
import { failedStoreWrite, readStart, replaceFile, type System } from '../../system/index.js';
import { accountsHere, changeAccounts } from '../bucket/account-objects.js';
import { lockAccounts } from '../client/client-lock.js';
import { isClientName } from '../layout/client-name.js';
import { TOKEN_FILE } from '../layout/layout.js';
import {
  accountDirectory,
  accountExists,
  accountNames,
  isAccount,
  rightsIfAny,
  type SubAccount,
  writeAccount,
} from './sub-accounts.js';

const MAX_TOKEN_BYTES = 256;
const LINE = /^sha256 ([0-9a-f]{64})\n$/;
const SECRET = /^[\w-]{43}$/;
const NO_HASH: Buffer = Buffer.alloc(32);

/** The parts of a token: `CLIENT/ACCOUNT/SECRET`, in which the secret is 32 bytes in base64url. */
export interface TokenParts {
  readonly client: string;
  readonly account: string;
  readonly secret: string;
}

/** Returns the parts of a text that has the form of a token; undefined for any other text. */
export function parseToken(text: string): TokenParts | undefined {
  const [client = '', account = '', secret = '', ...rest] = text.split('/');
  const isToken = isClientName(client) && isClientName(account) && SECRET.test(secret);
  return isToken && rest.length === 0 ? { client, account, secret } : undefined;
}

/** Returns the hash that is stored for a token's secret. */
export function tokenHash(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** True if the account logs in by a token. */
export function isTokenAccount(system: System, client: string, name: string): boolean {
  const file = path.join(accountDirectory(client, name), TOKEN_FILE);
  const shared = accountsHere(system, client);
  if (shared !== undefined) return shared.get(name)?.token !== undefined;
  return system.files.status(file)?.isFile === true;
}

/**
 * Returns the accounts that log in by a token, sorted by name. An account whose rights file is missing or malformed has
 * no rights. Throws NOT_PERMITTED if there are too many accounts.
 */
export function listTokenAccounts(system: System, client: string): SubAccount[] {
  return accountNames(system, client)
    .filter((name) => isTokenAccount(system, client, name))
    .map((name) => ({ name, rights: rightsIfAny(system, client, name) }));
}

/**
 * True if a secret belongs to the token of the account. For an account without a token, the same calls read another
 * file, so that the time does not show the difference.
 */
export function isTokenOf(
  system: System,
  client: string,
  { account, secret }: TokenParts,
): boolean {
  const { files } = system;
  const shared = accountsHere(system, client);
  if (shared !== undefined) {
    const stored = shared.get(account)?.token;
    return timingSafeEqual(stored ?? NO_HASH, tokenHash(secret)) && stored !== undefined;
  }
  const file = path.join(accountDirectory(client, account), TOKEN_FILE);
  const isThere = files.status(file) !== undefined;
  const read = readStart(files, isThere ? file : process.execPath, MAX_TOKEN_BYTES);
  const text = read?.toString('latin1') ?? '';
  const [, hex] = (isThere && LINE.exec(text)) || [];
  const known = hex === undefined ? NO_HASH : Buffer.from(hex, 'hex');
  return timingSafeEqual(known, tokenHash(secret)) && hex !== undefined;
}

/**
 * Creates an account with a token, durable when it resolves. Throws USAGE if the account exists, CLIENT_BUSY if other
 * accounts are being changed.
 */
export async function addTokenAccount(
  system: System,
  client: string,
  { name, rights }: SubAccount,
  hash: Buffer,
): Promise<void> {
  if (accountsHere(system, client) !== undefined) {
    await changeAccounts(system, client, (accounts) => {
      if (accounts.has(name)) throw accountExists(name);
      return new Map(accounts).set(name, { rights, token: hash });
    });
    return;
  }
  using _lock = await lockAccounts(system, client);
  if (isTokenAccount(system, client, name)) throw accountExists(name);
  await putToken(system, client, name, hash);
  await writeAccount(system, client, { name, rights }, undefined);
}

/**
 * Stores the hash of a new account's token. `writeAccount` writes the rights next; an account without rights cannot log
 * in. Throws USAGE if the account has a password.
 */
export async function putToken(
  system: System,
  client: string,
  name: string,
  hash: Buffer,
): Promise<void> {
  const { files } = system;
  if (isAccount(system, client, name)) {
    throw usageError(`the account "${name}" has a password: choose another name`);
  }
  const directory = accountDirectory(client, name);
  try {
    for (const one of [path.dirname(directory), directory]) {
      if (files.status(one) === undefined) files.makeDirectory(one);
    }
    const line = Buffer.from(`sha256 ${hash.toString('hex')}\n`);
    await replaceFile(files, path.join(directory, TOKEN_FILE), line);
  } catch (error) {
    throw failedStoreWrite(files, directory, error);
  }
}
