/**
 * Accounts: who owns which clients, and how much space they may take together. Each is a text file in
 * the store, `.accounts/NAME`, that the server's operator writes: `Key: value`, one a line. They are read
 * anew for each session, so that a change counts without a restart.
 */
import path from 'node:path';
import { configInvalid, parseSize } from '../config/index.js';
import { asTardisError, type TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { isClientName } from '../store/index.js';
import { readStart, type System } from '../system/index.js';

/** In the store; no client's name begins with a dot. */
export const ACCOUNTS_DIRECTORY = '.accounts';
const MAX_ACCOUNTS = 256;
const MAX_ACCOUNT_BYTES = 16 << 10;
const MAX_TARGETS = 256;
const MAX_SHOWN_BYTES = 80;

export interface Account {
  readonly name: string;
  /** 0: none. */
  readonly quotaBytes: number;
  /** What the account takes elsewhere. */
  readonly usedElsewhereBytes: number;
  /** Counted for each version of a file, or of anything else that is no directory. */
  readonly perFileBytes: number;
  readonly perDirectoryBytes: number;
  /** The clients it owns. */
  readonly targets: readonly string[];
}

/** An account, as far as its file could be understood. */
export interface ParsedAccount {
  readonly account: Account;
  /** The line that names the targets. */
  readonly targetsLine: number;
  /** The first fault. */
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
  private readonly shown: string;

  constructor(shown: string) {
    this.shown = shown;
  }

  /** Goes on after a fault: whose account it is must be known all the same. */
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

/** Reads the text of an account's file. Never throws: a fault leaves known which clients it is about. */
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
 * The account that owns a client; undefined: none does. Throws CONFIG_INVALID when its file is broken or
 * the client is in two accounts. `onFault` hears of every broken file, also those of others.
 */
export function accountOf(
  system: System,
  store: string,
  client: string,
  onFault: (fault: TardisError) => void,
): Account | undefined {
  const owners: ParsedAccount[] = [];
  for (const name of accountNames(system, store)) {
    const parsed = readAccount(system, store, name, onFault);
    if (parsed?.account.targets.includes(client) === true) owners.push(parsed);
  }
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

function accountNames({ files }: System, store: string): string[] {
  const directory = path.join(store, ACCOUNTS_DIRECTORY);
  let names: string[];
  try {
    if (files.status(directory) === undefined) return [];
    // What is named otherwise is an editor's copy, or nothing of ours.
    names = files.list(directory).filter(isClientName);
  } catch (error) {
    throw configInvalid(`the accounts in ${ACCOUNTS_DIRECTORY} cannot be read`, error);
  }
  if (names.length > MAX_ACCOUNTS) {
    throw configInvalid(`${ACCOUNTS_DIRECTORY} has more than ${MAX_ACCOUNTS} accounts`);
  }
  return names.sort();
}

function readAccount(
  { files }: System,
  store: string,
  name: string,
  onFault: (fault: TardisError) => void,
): ParsedAccount | undefined {
  const file = path.join(store, ACCOUNTS_DIRECTORY, name);
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
    // Nobody can tell which clients it is about.
    onFault(asTardisError(error, `reading ${shownFile(name)}`));
    return undefined;
  }
  const parsed = parseAccount(name, bytes.toString('utf8'));
  if (parsed.fault !== undefined) onFault(parsed.fault);
  return parsed;
}
