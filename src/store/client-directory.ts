/**
 * A store is a directory with one directory for each client; a client's directory holds its format
 * file, lock, catalog, packs and large contents. Making, opening and locking one is done here.
 */
import path from 'node:path';
import { asTardisError, systemCode, TardisError } from '../errors/index.js';
import { type Files, lockPatiently, readStart, replaceFile, type System } from '../system/index.js';
import { checkClientName, isClientName } from './client-name.js';
import { addKeys, dropKeys } from './key-files.js';
import {
  CATALOG_FILE,
  FORMAT_FILE,
  INCOMING_DIRECTORY,
  LOCK_FILE,
  PACKS_PREFIX,
  WANTED_FILE,
} from './layout.js';

export const STORE_FORMAT = 1;
const MAX_FORMAT_FILE_BYTES = 64 << 10;

export interface ClientDirectory {
  readonly client: string;
  readonly path: string;
  readonly catalogPath: string;
}

interface OpenOptions {
  readonly store: string;
  readonly client: string;
  /** Name of the catalog's file; `tardis.db` unless configured. */
  readonly catalogFile?: string;
}

interface CreateOptions extends OpenOptions {
  /** An empty file of this name tells a backup of the server's machine to leave the client out. */
  readonly skipFile?: string;
  /** The client's first key record; without one whoever reaches the store reaches the client. */
  readonly keys?: Uint8Array;
}

/** Finds a client. Throws NO_SUCH_STORE, NO_SUCH_CLIENT, STORE_NEWER, STORE_NOT_READABLE. */
export function openClientDirectory(system: System, options: OpenOptions): ClientDirectory {
  const { files } = system;
  checkClientName(options.client);
  requireStore(files, options.store);
  const directory = path.join(options.store, options.client);
  const format = readFormat(files, directory);
  if (format === undefined) {
    if (holdsPacks(files, directory)) {
      throw new TardisError('RECORD_DAMAGED', `${path.join(directory, FORMAT_FILE)} is missing`);
    }
    throw new TardisError(
      'NO_SUCH_CLIENT',
      `the store ${options.store} has no client "${options.client}"`,
    );
  }
  if (format !== STORE_FORMAT) {
    throw new TardisError('STORE_NEWER', `${directory} has format ${format}`, { format });
  }
  return describe(options, directory);
}

/**
 * Finds a client like `openClientDirectory`, but makes a missing or damaged format file anew: for a
 * rebuild, which looks at every record and knows a newer store by those.
 */
export async function repairClientDirectory(
  system: System,
  options: OpenOptions,
): Promise<ClientDirectory> {
  try {
    return openClientDirectory(system, options);
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
    const directory = path.join(options.store, options.client);
    const formatPath = path.join(directory, FORMAT_FILE);
    try {
      if (system.files.status(formatPath) !== undefined) system.files.unlink(formatPath);
      await writeFormat(system, directory);
    } catch (second) {
      throw asTardisError(second, `writing ${formatPath}`);
    }
    return openClientDirectory(system, options);
  }
}

function holdsPacks(files: Files, directory: string): boolean {
  return files.status(path.join(directory, PACKS_PREFIX)) !== undefined;
}

/**
 * Makes a client (and, when needed, the store). Throws CLIENT_EXISTS, CLIENT_NAME_INVALID,
 * STORE_NOT_WRITABLE, DISK_FULL. The format file comes last: without it there is no client yet.
 */
export async function createClientDirectory(
  system: System,
  options: CreateOptions,
): Promise<ClientDirectory> {
  const { files } = system;
  checkClientName(options.client);
  const directory = path.join(options.store, options.client);
  try {
    await makeIfMissing(files, options.store);
    await makeIfMissing(files, directory);
    if (files.status(path.join(directory, FORMAT_FILE)) !== undefined) {
      throw new TardisError('CLIENT_EXISTS', `the client "${options.client}" exists already`);
    }
    if (holdsPacks(files, directory)) {
      throw new TardisError('RECORD_DAMAGED', `${path.join(directory, FORMAT_FILE)} is missing`);
    }
    makeSkipFile(files, directory, options.skipFile);
    await makeKeys(system, directory, options.keys);
    await writeFormat(system, directory);
    await files.syncDirectory(options.store);
  } catch (error) {
    throw asTardisError(error, `making ${directory}`);
  }
  return describe(options, directory);
}

/** Whether a directory is a client's. */
export function isClientDirectory({ files }: System, directory: string): boolean {
  return files.status(path.join(directory, FORMAT_FILE)) !== undefined;
}

/** The names of the clients in a store; a link is another name of one, and not told. Throws NO_SUCH_STORE. */
export function listClients({ files }: System, store: string): string[] {
  requireStore(files, store);
  return files
    .list(store)
    .filter((name) => isClientName(name) && !files.isLink(path.join(store, name)))
    .filter((name) => files.status(path.join(store, name, FORMAT_FILE)) !== undefined)
    .sort();
}

function requireStore(files: Files, store: string): void {
  let status;
  try {
    status = files.status(store);
  } catch (error) {
    throw new TardisError('STORE_NOT_READABLE', `cannot look at ${store}`, {}, error);
  }
  if (status === undefined) throw new TardisError('NO_SUCH_STORE', `there is no store at ${store}`);
  if (!status.isDirectory) {
    throw new TardisError('NO_SUCH_STORE', `there is no store at ${store}: it is no directory`);
  }
}

/**
 * Looks at a store before it is served. Throws NO_SUCH_STORE, STORE_NOT_READABLE. Returns whether it is
 * there: with `mayBeMissing` it may be made later.
 */
export function checkStore({ files }: System, store: string, mayBeMissing: boolean): boolean {
  try {
    if (mayBeMissing && files.status(store) === undefined) return false;
  } catch (error) {
    throw new TardisError('STORE_NOT_READABLE', `cannot look at ${store}`, {}, error);
  }
  requireStore(files, store);
  return true;
}

function describe(options: OpenOptions, directory: string): ClientDirectory {
  const catalogPath = path.join(directory, options.catalogFile ?? CATALOG_FILE);
  return { client: options.client, path: directory, catalogPath };
}

/** Makes a directory and those above it, each durable in the one that holds it. */
async function makeIfMissing(files: Files, directory: string): Promise<void> {
  const status = files.status(directory);
  if (status?.isDirectory === true) return;
  if (status !== undefined) {
    throw new TardisError('STORE_NOT_WRITABLE', `${directory} is there, but is no directory`);
  }
  await makeIfMissing(files, path.dirname(directory));
  try {
    files.makeDirectory(directory);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error; // another process was quicker
  }
  await files.syncDirectory(path.dirname(directory));
}

function makeSkipFile(files: Files, directory: string, name: string | undefined): void {
  if (name === undefined) return;
  const file = path.join(directory, name);
  if (files.status(file) === undefined) files.close(files.open(file, 'create'));
}

/** Before the client is there, so that it is never there without its password. */
async function makeKeys(
  system: System,
  directory: string,
  keys: Uint8Array | undefined,
): Promise<void> {
  dropKeys(system, directory); // of an interrupted making: they are the keys of nothing
  if (keys !== undefined) await addKeys(system, directory, { number: 1, bytes: Buffer.from(keys) });
}

async function writeFormat(system: System, directory: string): Promise<void> {
  const { files } = system;
  const text = JSON.stringify({
    format: STORE_FORMAT,
    clientId: system.random.bytes(16).toString('hex'),
  });
  await replaceFile(files, path.join(directory, FORMAT_FILE), Buffer.from(`${text}\n`));
}

/** The format number; undefined when there is no format file. Throws STORE_NOT_READABLE. */
function readFormat(files: Files, directory: string): number | undefined {
  const formatPath = path.join(directory, FORMAT_FILE);
  let text: string;
  try {
    const bytes = readStart(files, formatPath, MAX_FORMAT_FILE_BYTES);
    if (bytes === undefined) return undefined;
    text = bytes.toString('utf8');
  } catch (error) {
    throw new TardisError('STORE_NOT_READABLE', `cannot read ${formatPath}`, {}, error);
  }
  try {
    const { format } = JSON.parse(text) as { format?: unknown };
    if (typeof format === 'number') return format;
  } catch (error) {
    throw new TardisError('RECORD_DAMAGED', `${formatPath} is damaged`, {}, error);
  }
  throw new TardisError('RECORD_DAMAGED', `${formatPath} says no format`);
}

/** Holds a client against every other process (and session) until `release`. */
export interface ClientLock {
  /** May be called twice. */
  release(): void;
}

/** Takes the client's lock at once or throws CLIENT_BUSY. The kernel frees it if we die. */
export function lockClient(system: System, directory: ClientDirectory): ClientLock {
  return tryLock(system, lockPathOf(directory)) ?? refuseBusy(directory);
}

function refuseBusy({ client }: ClientDirectory): never {
  throw new TardisError('CLIENT_BUSY', `the client "${client}" is in use`);
}

function lockPathOf(directory: ClientDirectory): string {
  return path.join(directory.path, LOCK_FILE);
}

/** Takes a lock file, making it if need be; undefined when somebody else holds it. */
export function tryLock(system: System, lockPath: string): ClientLock | undefined {
  const { files, native } = system;
  let fd: number;
  try {
    if (files.status(lockPath) === undefined) {
      try {
        files.close(files.open(lockPath, 'create'));
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error; // another process was quicker
      }
    }
    fd = files.open(lockPath, 'write');
  } catch (error) {
    throw asTardisError(error, `opening ${lockPath}`);
  }
  let isHeld = false;
  try {
    // The directory may have been exchanged, or the file removed, since it was opened.
    isHeld = native.flock(fd, true) && isStill(files, fd, lockPath);
  } finally {
    if (!isHeld) files.close(fd);
  }
  if (!isHeld) return undefined;
  return {
    release: () => {
      if (!isHeld) return; // closing twice could close somebody else's file
      isHeld = false;
      files.close(fd);
    },
  };
}

function isStill(files: Files, fd: number, path: string): boolean {
  return files.status(path)?.identity === files.statusOf(fd).identity;
}

/**
 * Takes the client's lock, waiting a moment for one that is ending; who holds it for work that can wait sees
 * that it is wanted, and gives it up. Throws CLIENT_BUSY.
 */
export async function acquireClient(
  system: System,
  directory: ClientDirectory,
): Promise<ClientLock> {
  const lock = await lockPatiently(() => {
    const held = tryLock(system, lockPathOf(directory));
    if (held === undefined) askForLock(system, directory);
    return held;
  });
  try {
    forgetAsking(system, directory);
  } catch (error) {
    lock?.release();
    throw error;
  }
  return lock ?? refuseBusy(directory);
}

function wantedPathOf(directory: ClientDirectory): string {
  return path.join(directory.path, WANTED_FILE);
}

function askForLock({ files }: System, directory: ClientDirectory): void {
  const wanted = wantedPathOf(directory);
  try {
    if (files.status(wanted) === undefined) files.close(files.open(wanted, 'create'));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw asTardisError(error, `making ${wanted}`);
  }
}

/** For who holds the lock: whoever was killed while he waited wants it no more; whoever waits says so again at once. */
export function forgetAsking({ files }: System, directory: ClientDirectory): void {
  const wanted = wantedPathOf(directory);
  try {
    if (files.status(wanted) !== undefined) files.unlink(wanted);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw asTardisError(error, `removing ${wanted}`);
  }
}

/** Where a client is being written anew, beside it; no client has this name. */
export function secondGenerationPath({ client, path: directory }: ClientDirectory): string {
  return path.join(path.dirname(directory), `.${client}.next`);
}

/** Whether somebody waits for the lock of a client that we hold. */
export function isLockWanted({ files }: System, directory: ClientDirectory): boolean {
  return files.status(wantedPathOf(directory)) !== undefined;
}

/** Does something under the client's lock. Throws CLIENT_BUSY, and what `work` throws. */
export async function withClient<T>(
  system: System,
  directory: ClientDirectory,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await acquireClient(system, directory);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** Removes what an interrupted session had staged. Call with the lock held. */
export function clearIncoming(system: System, directory: ClientDirectory): void {
  const incoming = path.join(directory.path, INCOMING_DIRECTORY);
  if (system.files.status(incoming) === undefined) return;
  for (const name of system.files.list(incoming)) system.files.unlink(path.join(incoming, name));
}
