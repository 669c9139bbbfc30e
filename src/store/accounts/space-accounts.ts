/**
 * Accounts: the clients that each account owns, and the space that they may use together. Each account is a text file
 * in the store, `.accounts/NAME`, with one `Key: value` a line, written by the server's operator. The files are read
 * again for each session, so that a change takes effect without a restart. In a bucket, one object has the texts of
 * all of them (src/store/bucket/account-files.ts), and the files here are those that this machine has fetched.
 */
import path from 'node:path';
import { configInvalid, formatSize, parseSize } from '../../config/index.js';
import { asTardisError, failedTo, TardisError, usageError } from '../../errors/index.js';
import { displayName } from '../../model/index.js';
import { readStart, replaceFile, type System } from '../../system/index.js';
import { accountFilesHere, MAX_ACCOUNT_FILES } from '../bucket/account-files.js';
import { bucketAt } from '../client/bucket-access.js';
import { clientExists, isClientDirectory } from '../client/client-directory.js';
import { lockByFile } from '../client/client-lock.js';
import { storeFolder } from '../client/store-directory.js';
import { checkClientName, isClientName } from '../layout/client-name.js';

/** Directory in the store; no client's name begins with a dot. */
export const ACCOUNTS_DIRECTORY = '.accounts';
export const MAX_ACCOUNT_BYTES: number = 64 << 10;
const MAX_TARGETS = 2048;
const MAX_SHOWN_BYTES = 80;

type FaultHandler = (fault: TardisError) => void;

export interface Account {
  readonly name: string;
  /** Maximum number of bytes that the account may use; 0 means no quota. */
  readonly quotaBytes: number;
  /** Number of bytes that the account uses outside this server. */
  readonly usedElsewhereBytes: number;
  /** Number of bytes counted for each version of a file, or of any other entry that is not a directory. */
  readonly perFileBytes: number;
  readonly perDirectoryBytes: number;
  /** The clients that the account owns. */
  readonly targets: readonly string[];
}

/** An account, as far as its file could be parsed. */
interface ParsedAccount {
  readonly account: Account;
  /** Number of the line with the targets. */
  readonly targetsLine: number;
  /** The first fault in the file. */
  readonly fault: TardisError | undefined;
}

type SizeKey = 'SpaceQuota' | 'SpaceUsed' | 'SpacePerFile' | 'SpacePerDir';

const SIZE_KEYS: ReadonlySet<string> = new Set<SizeKey>([
  'SpaceQuota',
  'SpaceUsed',
  'SpacePerFile',
  'SpacePerDir',
]);

class AccountReader {
  readonly sizes = new Map<string, number>();
  readonly targets = new Set<string>();
  targetsLine = 0;
  fault: TardisError | undefined;
  private readonly seen = new Set<string>();

  constructor(private readonly shown: string) {}

  /** Parses one line. After a fault, parsing continues, because the account's clients must be known anyway. */
  take(text: string, line: number): void {
    try {
      this.read(text.trim(), `${this.shown}:${line}`, line);
    } catch (error) {
      this.fault ??= asTardisError(error);
    }
  }

  private read(text: string, where: string, line: number): void {
    if (text === '' || text.startsWith('#')) return;
    const [, key, value] = /^([A-Za-z]+)\s*:\s*(.*)$/.exec(text) ?? [];
    if (key === undefined || value === undefined) {
      throw configInvalid(`${where}: "${shownWord(text)}" is no "Key: value"`);
    }
    const isTwice = this.seen.has(key);
    this.seen.add(key);
    if (key === 'Targets') this.readTargets(value, where, line);
    if (isTwice) throw configInvalid(`${where}: "${shownWord(key)}" is there twice`);
    if (key === 'Targets') return;
    if (key === 'DiskPath') {
      const what = 'a server has one store, BaseDir; name the clients of the account as Targets';
      throw configInvalid(`${where}: leave out DiskPath: ${what}`);
    }
    if (!SIZE_KEYS.has(key)) throw configInvalid(`${where}: there is no key "${shownWord(key)}"`);
    this.sizes.set(key, readSize(key, value, where));
  }

  private readTargets(value: string, where: string, line: number): void {
    this.targetsLine = line;
    for (const target of value.split(/\s+/).filter((word) => word !== '')) {
      if (!isClientName(target)) {
        this.fault ??= configInvalid(`${where}: "${shownWord(target)}" is no client name`);
      } else if (this.targets.has(target)) {
        this.fault ??= configInvalid(`${where}: "${target}" is there twice`);
      } else if (this.targets.size >= MAX_TARGETS) {
        throw configInvalid(`${where}: an account has at most ${MAX_TARGETS} targets`);
      } else {
        this.targets.add(target);
      }
    }
  }
}

function readSize(key: string, value: string, where: string): number {
  const bytes = parseSize(value, `${where}: ${key}`);
  if (!Number.isSafeInteger(bytes)) throw configInvalid(`${where}: ${key} is too large`);
  if (key === 'SpaceQuota' && bytes === 0) {
    throw configInvalid(`${where}: SpaceQuota is at least 1; leave it out for no quota`);
  }
  return bytes;
}

function shownWord(text: string): string {
  return displayName(Buffer.from(text).subarray(0, MAX_SHOWN_BYTES));
}

function shownFile(name: string): string {
  return `account file ${ACCOUNTS_DIRECTORY}/${name}`;
}

/** Parses the text of an account's file. Never throws; after a fault the account still has its clients. */
export function parseAccount(name: string, text: string): ParsedAccount {
  const reader = new AccountReader(shownFile(name));
  text
    .replace(/^\ufeff/, '')
    .split('\n')
    .forEach((line, index) => reader.take(line, index + 1));
  const { sizes, targets, targetsLine, fault } = reader;
  const account: Account = {
    name,
    quotaBytes: sizes.get('SpaceQuota') ?? 0,
    usedElsewhereBytes: sizes.get('SpaceUsed') ?? 0,
    perFileBytes: sizes.get('SpacePerFile') ?? 0,
    perDirectoryBytes: sizes.get('SpacePerDir') ?? 0,
    targets: [...targets],
  };
  return { account, targetsLine, fault };
}

/**
 * Returns the account that owns a client, or undefined if none does. Throws CONFIG_INVALID if the account's file is
 * broken or the client is in two accounts. Calls `onFault` for every broken file, those of other accounts included.
 */
export function accountOf(
  system: System,
  store: string,
  client: string,
  onFault: FaultHandler,
): Account | undefined {
  const all = accountsIn(system, store, onFault);
  const owners = all.filter(({ account }) => account.targets.includes(client));
  const [owner, second] = owners;
  if (owner?.fault !== undefined) throw owner.fault;
  if (owner !== undefined && second !== undefined) {
    const places = [owner, second].map(
      ({ account, targetsLine }) => `${shownFile(account.name)}:${targetsLine}`,
    );
    const fault = configInvalid(`the client "${client}" is in two accounts: ${places.join(', ')}`);
    onFault(fault);
    throw fault;
  }
  return owner?.account;
}

/** Returns the accounts whose files have no fault. Throws as `accountOf` does if the directory cannot be read. */
export function soundAccounts(system: System, store: string): Account[] {
  return accountsIn(system, store, () => undefined).flatMap(({ account, fault }) =>
    fault === undefined ? [account] : [],
  );
}

/**
 * Adds a new client to the account that owns another client. Returns the name of the account; undefined if it had the client
 * already. Throws ACCOUNT_FILE_MISSING if no account owns that one, CLIENT_EXISTS if the new client is there or belongs to
 * another account, CONFIG_INVALID if the account cannot take it, and STORE_NOT_WRITABLE or the like. Must not run twice at one
 * time.
 */
export async function addTarget(
  system: System,
  store: string,
  { owned, client }: { readonly owned: string; readonly client: string },
): Promise<string | undefined> {
  checkClientName(client);
  const account = ownerOf(system, store, owned);
  // A client that is there would else come into view of an account that does not own it.
  const isThere = isClientDirectory(system, path.join(store, client));
  const owner = accountOf(system, store, client, () => undefined);
  if (isThere || (owner !== undefined && owner.name !== account.name)) throw clientExists(client);
  if (owner !== undefined) return undefined;
  await rewriteAccount(system, store, account.name, {
    change: (text) => text.replace(TARGETS, (line) => `${line.trimEnd()} ${client}`),
    isDone: ({ targets }) => targets.includes(client),
  });
  return account.name;
}

/** Removes a client from an account, if it is there. Throws CONFIG_INVALID, STORE_NOT_WRITABLE or the like. */
export async function removeTarget(
  system: System,
  store: string,
  { account, client }: { readonly account: string; readonly client: string },
): Promise<void> {
  const owner = accountOf(system, store, client, () => undefined);
  if (owner?.name !== account) return;
  const without = (_line: string, head: string, targets: string): string =>
    head + targets.replaceAll(/\s*\S+/g, (one) => (one.trim() === client ? '' : one));
  await rewriteAccount(system, store, account, {
    change: (text) => text.replace(TARGETS, without),
    isDone: ({ targets }) => !targets.includes(client),
  });
}

/** A quota that was changed. */
export interface QuotaChange {
  readonly account: string;
  /** All clients of the account, which share the quota. */
  readonly targets: readonly string[];
  /** The quota until now; 0 if there was none. */
  readonly beforeBytes: number;
}

/**
 * Changes the quota of the account that owns a client; 0 for no quota. Sessions that run keep the quota with which they began.
 * Throws ACCOUNT_FILE_MISSING if no account owns the client, USAGE for a store in a bucket, CONFIG_INVALID for an invalid
 * quota, and STORE_NOT_WRITABLE or the like.
 */
export async function changeQuota(
  system: System,
  store: string,
  client: string,
  quotaBytes: number,
): Promise<QuotaChange> {
  if (bucketAt(store) !== undefined) {
    const what = 'the quotas of a bucket are changed together: `sonic bucket --accounts DIR`';
    throw usageError(what);
  }
  const { name, targets, quotaBytes: beforeBytes } = ownerOf(system, store, client);
  const line = quotaBytes === 0 ? '' : `SpaceQuota: ${quotaText(quotaBytes)}\n`;
  await rewriteAccount(system, store, name, {
    change: (text) => line + text.replace(/^[^\S\n]*SpaceQuota[^\S\n]*:.*(?:\n|$)/m, ''),
    isDone: (account) => account.quotaBytes === quotaBytes,
  });
  return { account: name, targets, beforeBytes };
}

/** Returns a size in a unit, if it is a small number of units; otherwise in bytes. */
function quotaText(bytes: number): string {
  const text = formatSize(bytes);
  return /^\d{1,4}\D?$/.test(text) ? text : String(bytes);
}

/** Line with the clients of an account, and its two parts. */
const TARGETS = /^(\s*Targets\s*:)(.*)$/m;

/** Returns the account that owns a client. Throws ACCOUNT_FILE_MISSING if there is none, CONFIG_INVALID. */
function ownerOf(system: System, store: string, client: string): Account {
  const account = accountOf(system, store, client, () => undefined);
  if (account !== undefined) return account;
  throw new TardisError('ACCOUNT_FILE_MISSING', `no account owns the client "${client}"`);
}

interface Rewrite {
  readonly change: (text: string) => string;
  /** True if the account has what it should have now. */
  readonly isDone: (account: Account) => boolean;
}

/**
 * Replaces the file of an account, whose other lines stay. Throws CONFIG_INVALID, CLIENT_BUSY if other changes do not end,
 * and STORE_NOT_WRITABLE or the like.
 */
async function rewriteAccount(
  system: System,
  store: string,
  name: string,
  { change, isDone }: Rewrite,
): Promise<void> {
  const { files } = system;
  const folder = storeFolder(store, ACCOUNTS_DIRECTORY);
  const file = path.join(folder, name);
  using _lock = await lockByFile(system, `${folder}.lock`, 'other accounts are being changed');
  const text = readStart(files, file, MAX_ACCOUNT_BYTES)?.toString('utf8') ?? '';
  const next = change(text.replace(/^\ufeff/, ''));
  const { account, fault } = parseAccount(name, next);
  if (fault !== undefined) throw fault;
  if (!isDone(account) || Buffer.byteLength(next) > MAX_ACCOUNT_BYTES) {
    throw configInvalid(
      `${shownFile(name)} cannot take the change: it is too long, or has no Targets`,
    );
  }
  try {
    const temporary = path.join(folder, `.${name}.new`); // no name of an account
    await replaceFile(files, file, Buffer.from(next), { temporary });
  } catch (error) {
    throw failedTo(`change ${shownFile(name)}`, error, 'writeStore');
  }
}

/**
 * Returns all accounts that can be read, with their faults. Throws STORE_NOT_READABLE or the like if the directory of
 * accounts cannot be read, CONFIG_INVALID if it has too many, and ACCOUNTS_DAMAGED if their object in a bucket is damaged.
 */
function accountsIn(system: System, store: string, onFault: FaultHandler): ParsedAccount[] {
  const shared = accountFilesHere(system, store);
  if (shared === undefined) {
    const folder = storeFolder(store, ACCOUNTS_DIRECTORY);
    return accountNames(system, folder).flatMap(
      (name) => readAccount(system, folder, name, onFault) ?? [],
    );
  }
  const all = [...shared].map(([name, text]) => parseAccount(name, text));
  for (const { fault } of all) if (fault !== undefined) onFault(fault);
  return all;
}

function accountNames({ files }: System, directory: string): string[] {
  let names: string[];
  try {
    if (files.status(directory) === undefined) return [];
    // Files with other names are an editor's copies, or unrelated.
    names = files.list(directory).filter(isClientName);
  } catch (error) {
    throw failedTo(`read the accounts in ${directory}`, error, 'readStore');
  }
  if (names.length > MAX_ACCOUNT_FILES) {
    throw configInvalid(`${ACCOUNTS_DIRECTORY} has more than ${MAX_ACCOUNT_FILES} accounts`);
  }
  return names.sort();
}

function readAccount(
  { files }: System,
  folder: string,
  name: string,
  onFault: FaultHandler,
): ParsedAccount | undefined {
  const file = path.join(folder, name);
  let bytes: Buffer;
  try {
    const status = files.status(file);
    if (status === undefined) return undefined; // removed meanwhile
    if (!status.isFile) throw configInvalid(`${shownFile(name)} is no file`);
    if (status.sizeBytes > MAX_ACCOUNT_BYTES) {
      throw configInvalid(`${shownFile(name)} has more than ${MAX_ACCOUNT_BYTES >> 10} KiB`);
    }
    bytes = readStart(files, file, MAX_ACCOUNT_BYTES) ?? Buffer.alloc(0);
  } catch (error) {
    // The clients of an unreadable account are unknown, so the file is only reported.
    onFault(asTardisError(error, `reading ${shownFile(name)}`, 'readStore'));
    return undefined;
  }
  const parsed = parseAccount(name, bytes.toString('utf8'));
  if (parsed.fault !== undefined) onFault(parsed.fault);
  return parsed;
}
