/**
 * Opens, repairs and lists client directories. A store is a directory with one directory for each client, which
 * contains the client's format file, lock, catalog, packs and large contents. Locking is in client-lock.ts, and
 * creation in src/store/open/create-client.ts.
 */
import path from 'node:path';
import { asTardisError, during, isBadSector, TardisError } from '../../errors/index.js';
import type { PackNumber } from '../../model/index.js';
import {
  failedStoreWrite,
  type Files,
  guardDirectory,
  type GuardedUse,
  namesIn,
  requireNoLink,
  type System,
  unlinkIfThere,
  yieldRegularly,
} from '../../system/index.js';
import { checkClientName, isClientName } from '../layout/client-name.js';
import { DirectoryBackend } from '../backends/directory-backend.js';
import { readFormat, STORE_FORMAT, writeFormat } from '../layout/format-file.js';
import { neededBy, newestKeys } from './key-files.js';
import { type BucketAccess, bucketAt, shownStore, useBucket } from './bucket-access.js';
import {
  CATALOG_FILE,
  FORMAT_FILE,
  INCOMING_DIRECTORY,
  KEYS_DIRECTORY,
  PACKS_DIRECTORY,
  PACKS_PREFIX,
  PARITY_PREFIX,
} from '../layout/layout.js';
import { clientOfPacks } from '../packs/pack-label.js';
import { otherClient, requireDirectory, requireStore } from './store-directory.js';

export interface ClientDirectory {
  readonly client: string;
  readonly path: string;
  readonly catalogPath: string;
  /** The bucket that has the client's records; undefined if its directory has them. */
  readonly bucket?: BucketAccess;
  /**
   * Name of the client's present generation in its bucket, if a rewrite made it; undefined for the first generation.
   */
  readonly generation?: string;
}

/** Identifies the file of a catalog, so that a reader notices if another one replaces it. */
export function catalogIdentity(
  files: Pick<Files, 'status'>,
  { catalogPath }: Pick<ClientDirectory, 'catalogPath'>,
): string {
  return files.status(catalogPath)?.identity ?? '';
}

export interface OpenOptions {
  readonly store: string;
  readonly client: string;
  /** File name of the catalog; `tardis.db` unless configured. */
  readonly catalogFile?: string;
}

/**
 * Confines this thread's file access to the client's directory, whatever symbolic links the directory contains. Opening
 * and locking a client do this too. Call it in a thread that uses a client which another thread opened.
 */
export function guardClient(directory: ClientDirectory): void {
  guardDirectory(directory.path, directory.path, usedFor(directory.bucket));
}

/**
 * Opens a client's directory. Throws CLIENT_NAME_INVALID for a bad name, NO_SUCH_STORE and NO_SUCH_CLIENT if there is
 * no such store or client, and STORE_NEWER for a newer format. Throws FORMAT_DAMAGED if the format file is damaged, or
 * is missing beside packs; PACKS_DAMAGED or STORE_UNSAFE if `packs` is no directory; STORE_NOT_READABLE if this user
 * may not read the files.
 */
export function openClientDirectory(system: System, options: OpenOptions): ClientDirectory {
  const { files } = system;
  checkClientName(options.client);
  requireDirectory(files, options.store);
  const directory = path.join(options.store, options.client);
  guardDirectory(directory, directory, usedFor(bucketAt(options.store)));
  const { format, generation } = readFormat(files, directory) ?? {};
  if (format === undefined) {
    requireNoPacks(files, directory);
    throw noSuchClient(files, options, directory);
  }
  if (format !== STORE_FORMAT) {
    throw new TardisError('STORE_NEWER', `${directory} has format ${format}`, { format });
  }
  requirePacksFolder(files, directory);
  return describeClient(options, generation);
}

/** Returns CLIENT_EXISTS, for a name that is taken. */
export function clientExists(client: string): TardisError {
  return new TardisError('CLIENT_EXISTS', `the client "${client}" exists already`);
}

/** Returns NO_SUCH_CLIENT, or throws NO_SUCH_STORE if the directory of the store is none. */
function noSuchClient(
  files: Files,
  { store, client }: OpenOptions,
  directory: string,
): TardisError {
  requireStore(files, store);
  const what = `the store ${shownStore(store)} has no client "${client}"`;
  if (bucketAt(store) !== undefined) {
    const why = 'somebody has deleted its objects: docs/server/buckets.md, "After a theft"';
    return new TardisError('NO_SUCH_CLIENT', `${what}; if it was there before, ${why}`);
  }
  const other = otherClient(files, directory);
  const why = other === undefined ? '' : `: the directory of that name ${other}`;
  return new TardisError('NO_SUCH_CLIENT', what + why);
}

/** Returns the use of a client's directory; `bucket` is undefined for a store in a directory. */
function usedFor(bucket: unknown): GuardedUse {
  return bucket === undefined ? 'store' : 'cache';
}

function packsFolder(directory: string): string {
  return path.join(directory, PACKS_DIRECTORY);
}

/**
 * Throws PACKS_DAMAGED if `packs` is not a directory; without this check it would later look like a failing disk.
 * Throws STORE_UNSAFE if `packs` is a symbolic link.
 */
function requirePacksFolder(files: Files, directory: string): void {
  const packs = packsFolder(directory);
  if (files.status(packs)?.isDirectory !== false) return;
  requireNoLink(files, packs);
  throw new TardisError('PACKS_DAMAGED', `${packs} is no directory`);
}

/**
 * Opens a client like `openClientDirectory`, but rewrites a format file that is missing, damaged, or on a bad sector. For a rebuild, which reads
 * every record, and so notices records of a newer format. `knownPack` returns the number of a pack that certainly
 * belongs to the client.
 */
export async function repairClientDirectory(
  system: System,
  options: OpenOptions,
  knownPack: (directory: ClientDirectory) => Promise<PackNumber | undefined>,
): Promise<ClientDirectory> {
  try {
    return openClientDirectory(system, options);
  } catch (error) {
    if (asTardisError(error).code !== 'FORMAT_DAMAGED' && !isBadSector(error)) throw error;
    const directory = path.join(options.store, options.client);
    const formatPath = path.join(directory, FORMAT_FILE);
    try {
      const known = await knownPack(describeClient(options));
      const backend = new DirectoryBackend(directory, system.files);
      const clientId = await clientOfPacks(backend, known).finally(() => backend.close());
      unlinkIfThere(system.files, formatPath);
      await makeFormat(system, directory, clientId);
    } catch (second) {
      throw failedStoreWrite(system.files, formatPath, second);
    }
    return openClientDirectory(system, options);
  }
}

/** Throws FORMAT_DAMAGED if a directory without a format file has packs: then it is that of a client that lost the file. */
export function requireNoPacks(files: Files, directory: string): void {
  if (files.status(packsFolder(directory)) === undefined) return;
  throw new TardisError('FORMAT_DAMAGED', `${path.join(directory, FORMAT_FILE)} is missing`);
}

/** True if a directory is a client's. */
export function isClientDirectory({ files }: System, directory: string): boolean {
  return files.status(path.join(directory, FORMAT_FILE)) !== undefined;
}

/**
 * Returns the names of the clients in a store, sorted. Symbolic links are left out, since they are other names of
 * clients. Throws NO_SUCH_STORE if there is no store, STORE_NOT_READABLE if it cannot be examined.
 */
export function listClients({ files }: System, store: string): string[] {
  requireDirectory(files, store);
  const clients = during('readStore', () => files.list(store))
    .filter((name) => isClientName(name) && !files.isLink(path.join(store, name)))
    .filter((name) => files.status(path.join(store, name, FORMAT_FILE)) !== undefined);
  if (clients.length === 0) requireStore(files, store);
  return clients.sort();
}

/** Returns the directory of a client, which need not exist. `generation` is that of its format file. */
export function describeClient(
  { client, store, catalogFile = CATALOG_FILE }: OpenOptions,
  generation?: string,
): ClientDirectory {
  const directory = path.join(store, client);
  const bucket = bucketAt(store);
  if (bucket === undefined || generation === undefined) {
    const catalogPath = path.join(directory, catalogFile);
    return { client, path: directory, catalogPath, ...(bucket === undefined ? {} : { bucket }) };
  }
  const catalogPath = path.join(directory, catalogOf(catalogFile, generation));
  return { client, path: directory, catalogPath, bucket, generation };
}

/**
 * Returns the file name of the catalog of a generation. Each generation has its own name. So SQLite never joins the
 * catalog of one with the log of another, even if a program was paused while another one followed a rewrite.
 */
export function catalogOf(catalogFile: string, generation: string): string {
  return `${generation}.${catalogFile}`;
}

/** Returns the configured file name of a client's catalog, which the first generation uses. */
export function catalogFileOf({ catalogPath, generation }: ClientDirectory): string {
  const name = path.basename(catalogPath);
  return generation === undefined ? name : name.slice(generation.length + 1);
}

/**
 * Opens a client again, since a rewrite may have changed its generation in a bucket. Throws the errors of
 * `openClientDirectory`.
 */
export function reopenClient(system: System, directory: ClientDirectory): ClientDirectory {
  const { client, path: home, bucket } = directory;
  const [store, catalogFile] = [path.dirname(home), catalogFileOf(directory)];
  if (bucket !== undefined && bucketAt(store) === undefined) useBucket(bucket); // the thread has opened no bucket yet
  return openClientDirectory(system, { store, client, catalogFile });
}

/** Writes the format file of a client, for the keys in its directory, with a new id if none is given. */
export async function makeFormat(
  system: System,
  directory: string,
  clientId: string = system.random.bytes(16).toString('hex'),
): Promise<void> {
  const keys = neededBy(newestKeys(system, directory));
  await writeFormat(system.files, directory, { clientId, keys });
}

/**
 * Returns the path of the directory in which a rewrite builds the client's second generation. It is beside the client's
 * directory; no client can have this name.
 */
export function secondGenerationPath({ client, path: directory }: ClientDirectory): string {
  return path.join(path.dirname(directory), `.${client}.next`);
}

/** Throws STORE_UNSAFE if the directory of staged contents is a symbolic link. */
export function checkIncoming({ files }: System, directory: ClientDirectory): void {
  const incoming = path.join(directory.path, INCOMING_DIRECTORY);
  if (files.status(incoming) !== undefined) files.list(incoming);
}

/** Removes the contents that an interrupted session had staged. Call with the lock held. */
export function clearIncoming(system: System, directory: ClientDirectory): void {
  const incoming = path.join(directory.path, INCOMING_DIRECTORY);
  if (system.files.status(incoming) === undefined) return;
  for (const name of system.files.list(incoming)) system.files.unlink(path.join(incoming, name));
}

/** A file with records, parity or keys in the directory of a client. */
interface StoredFile {
  readonly part: 'keys' | 'packs' | 'objects' | 'parity';
  readonly sizeBytes: number;
}

/** Names of the directories that objects are spread over. */
const BYTE = /^[0-9a-f]{2}$/;

/** Yields the files of a client's directory that hold records, parity and keys. Yields to other work of the thread, too. */
export async function* storedFiles(
  files: Files,
  directory: string,
): AsyncGenerator<StoredFile, void> {
  const breathe = yieldRegularly();
  const bytesIn = function* (folder: string): Generator<string> {
    for (const name of namesIn(files, folder)) if (BYTE.test(name)) yield path.join(folder, name);
  };
  const filesIn = async function* (
    folder: string,
    part: StoredFile['part'],
  ): AsyncGenerator<StoredFile, void> {
    for (const name of namesIn(files, folder)) {
      const status = files.status(path.join(folder, name));
      if (status?.isFile === true) yield { part, sizeBytes: status.sizeBytes };
      await breathe();
    }
  };
  yield* filesIn(path.join(directory, KEYS_DIRECTORY), 'keys');
  const parity = path.join(directory, PARITY_PREFIX);
  for (const half of [directory, parity]) {
    const isParity = half === parity;
    yield* filesIn(path.join(half, PACKS_PREFIX), isParity ? 'parity' : 'packs');
    for (const first of bytesIn(half)) {
      for (const second of bytesIn(first)) {
        yield* filesIn(second, isParity ? 'parity' : 'objects');
        await breathe();
      }
    }
  }
}
