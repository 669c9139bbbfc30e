/**
 * Requests of administrators that a client make a backup now. `.requests/CLIENT` in the store contains the account that
 * made the request; its time is that of the file. The client finds out when its timer looks the next time.
 */
import path from 'node:path';
import { TardisError } from '../../errors/index.js';
import { failedStoreWrite, guardDirectory, type System } from '../../system/index.js';
import { bucketAt } from '../client/bucket-access.js';
import { putFile } from '../client/store-directory.js';
import { isClientName } from '../layout/client-name.js';
import { REQUESTS_DIRECTORY } from '../layout/layout.js';

/** Requests a backup of a client. Throws USAGE for a store in a bucket, and STORE_NOT_WRITABLE or the like. */
export async function requestBackup(
  system: System,
  store: string,
  { client, by }: { readonly client: string; readonly by: string },
): Promise<void> {
  if (bucketAt(store) !== undefined) {
    throw new TardisError('USAGE', 'backups are requested in a store of a directory only');
  }
  await putFile(system.files, path.join(folderOf(store), client), `${by}\n`);
}

/** Returns the times of all open requests, in milliseconds since 1970, by the names of their clients. */
export function requestedBackups({ files }: System, store: string): ReadonlyMap<string, number> {
  const folder = folderOf(store);
  if (files.status(folder) === undefined) return new Map();
  const names = files.list(folder).filter(isClientName);
  const times = names.map(
    (name) => [name, files.status(path.join(folder, name))?.mtimeMs] as const,
  );
  return new Map(times.flatMap(([name, ms]) => (ms === undefined ? [] : [[name, Math.floor(ms)]])));
}

/** Ends the request for a client, if there is one: its backup has been made, or has failed. */
export function endBackupRequest({ files }: System, store: string, client: string): void {
  const file = path.join(folderOf(store), client);
  try {
    if (files.status(file) !== undefined) files.unlink(file);
  } catch (error) {
    throw failedStoreWrite(files, file, error);
  }
}

function folderOf(store: string): string {
  const folder = path.join(store, REQUESTS_DIRECTORY);
  guardDirectory(folder, store); // files of root get the owner of the store
  return folder;
}
