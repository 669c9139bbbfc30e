/** Creates clients, in a directory or in a bucket. */
import path from 'node:path';
import { TardisError } from '../../errors/index.js';
import { failedStoreWrite, type Files, requireNoLink, type System } from '../../system/index.js';
import { publishClient, requireNewIn } from '../bucket/client-object.js';
import {
  type ClientDirectory,
  clientExists,
  describeClient,
  guardClient,
  makeFormat,
  type OpenOptions,
  requireNoPacks,
} from '../client/client-directory.js';
import { acquireClient } from '../client/client-lock.js';
import { addKeys, dropKeys } from '../client/key-files.js';
import {
  makeDirectory,
  makeStore,
  requireNoOtherClient,
  requireStore,
} from '../client/store-directory.js';
import { checkClientName } from '../layout/client-name.js';
import { FORMAT_FILE } from '../layout/layout.js';

interface CreateOptions extends OpenOptions {
  /** True if the store must exist, as for a server, whose disk may be gone; otherwise it is created if needed. */
  readonly isStoreThere?: boolean | undefined;
  /** Name of an empty file to create, so that a backup of the server's machine excludes the client's directory. */
  readonly skipFile?: string | undefined;
  /** The client's first key record. Without one, any user with access to the store can use the client. */
  readonly keys?: Uint8Array;
  /** Number of the key record; 1 unless the record is a copy of another client's. */
  readonly keysNumber?: number;
}

/**
 * Creates a client, and the store if needed. The format file is written last: a directory without it is no client yet.
 * Throws CLIENT_NAME_INVALID for a bad name, CLIENT_EXISTS if the name is in use, CLIENT_BUSY if another process is
 * creating it and does not end, and FORMAT_DAMAGED if the name is
 * that of a client that has lost its format file. Throws NO_SUCH_STORE as `makeStore` does, PLACE_TAKEN for a directory
 * of another program, and STORE_NOT_WRITABLE or DISK_FULL if a file cannot be written.
 */
export async function createClientDirectory(
  system: System,
  options: CreateOptions,
): Promise<ClientDirectory> {
  const { files } = system;
  const { client, store } = options;
  checkClientName(client);
  const made = describeClient(options);
  const { path: directory, bucket } = made;
  guardClient(made);
  try {
    if (options.isStoreThere === true) requireStore(files, store);
    else if (bucket === undefined) await makeStore(files, store);
    requireNoLink(files, directory);
    if (bucket !== undefined) await requireNewIn(system, bucket, client);
    requireNew(files, made);
    requireNoPacks(files, directory);
    if (bucket === undefined) requireNoOtherClient(files, directory, options.skipFile);
    await makeIfMissing(files, directory);
    using _lock = await acquireClient(system, made);
    requireNew(files, made); // another process may have created it before the lock was taken
    makeSkipFile(files, directory, options.skipFile);
    await makeKeys(system, directory, options);
    await makeFormat(system, directory);
    await files.syncDirectory(store);
    if (bucket !== undefined && !(await publishClient(system, bucket, client)))
      throw clientExists(client);
  } catch (error) {
    throw failedStoreWrite(files, directory, error, `making ${directory}`);
  }
  return made;
}

/** Throws CLIENT_EXISTS if the client has a format file. */
function requireNew(files: Files, { client, path: directory }: ClientDirectory): void {
  if (files.status(path.join(directory, FORMAT_FILE)) !== undefined) throw clientExists(client);
}

/** Creates a directory, durable in its parent. Throws STORE_NOT_WRITABLE if a file has its name. */
async function makeIfMissing(files: Files, directory: string): Promise<void> {
  const status = files.status(directory);
  if (status?.isDirectory === true) return;
  if (status !== undefined) {
    throw new TardisError('STORE_NOT_WRITABLE', `${directory} is there, but is no directory`);
  }
  await makeDirectory(files, directory);
}

/** Creates the empty file by which backups leave a client's directory out, if it is not there. */
export function makeSkipFile(files: Files, directory: string, name: string | undefined): void {
  if (name === undefined) return;
  const file = path.join(directory, name);
  if (files.status(file) === undefined) files.close(files.open(file, 'create'));
}

/**
 * Writes the first key record. This happens before the client exists, so a client never exists without its password.
 */
async function makeKeys(
  system: System,
  directory: string,
  { keys, keysNumber: number = 1 }: CreateOptions,
): Promise<void> {
  dropKeys(system, directory); // left by an interrupted creation; they protect nothing
  if (keys !== undefined) await addKeys(system, directory, { number, bytes: Buffer.from(keys) });
}
