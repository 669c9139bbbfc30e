/**
 * Requests of administrators that a client make a backup now. `.requests/CLIENT` in the store contains the account that
 * made the request; its time is that of the file. The client finds out when its timer looks the next time.
 */
import path from 'node:path';
import { usageError } from '../../errors/index.js';
import { isRequester } from '../../model/index.js';
import { type Files, readStart, type System } from '../../system/index.js';
import { bucketAt } from '../client/bucket-access.js';
import type { ClientDirectory } from '../client/client-directory.js';
import { lockByFile } from '../client/client-lock.js';
import { dropFile, putFile, storeFolder } from '../client/store-directory.js';
import { isClientName } from '../layout/client-name.js';
import { REQUESTS_DIRECTORY } from '../layout/layout.js';

const MAX_FILE_BYTES = 512;

/**
 * Requests a backup of a client. Throws USAGE for a store in a bucket, CLIENT_BUSY if other requests do not end, and
 * STORE_NOT_WRITABLE or the like.
 */
export async function requestBackup(
  system: System,
  store: string,
  { client, by }: { readonly client: string; readonly by: string },
): Promise<void> {
  if (bucketAt(store) !== undefined) {
    throw usageError('backups are requested in a store of a directory only');
  }
  const folder = storeFolder(store, REQUESTS_DIRECTORY);
  using _lock = await lockByFile(system, `${folder}.lock`, 'other backups are being requested');
  const temporary = path.join(folder, `.${client}.new`); // no name of a client
  await putFile(system.files, path.join(folder, client), `${by}\n`, { temporary });
}

/** An open request: its time in milliseconds since 1970, and the account; empty if that cannot be read. */
interface BackupRequest {
  readonly atMs: number;
  readonly by: string;
}

/** Returns all open requests, by the names of their clients. */
export function requestedBackups(
  { files }: System,
  store: string,
): ReadonlyMap<string, BackupRequest> {
  const folder = storeFolder(store, REQUESTS_DIRECTORY);
  if (files.status(folder) === undefined) return new Map();
  const requests = new Map<string, BackupRequest>();
  for (const client of files.list(folder).filter(isClientName)) {
    const file = path.join(folder, client);
    const atMs = files.status(file)?.mtimeMs;
    if (atMs === undefined) continue; // ended meanwhile
    requests.set(client, { atMs: Math.floor(atMs), by: requester(files, file) });
  }
  return requests;
}

/** Returns the account that has requested a backup of a client; undefined if there is no request. */
export function requesterOf(
  { files }: System,
  { client, path: directory }: Pick<ClientDirectory, 'client' | 'path'>,
): string | undefined {
  const file = path.join(storeFolder(path.dirname(directory), REQUESTS_DIRECTORY), client);
  return requester(files, file) || undefined;
}

/** Returns the account in a file; empty if there is none, or if it cannot be read, which ends no backup. */
function requester(files: Files, file: string): string {
  try {
    const by = readStart(files, file, MAX_FILE_BYTES)?.toString('utf8').trim();
    return isRequester(by) ? by : '';
  } catch {
    return '';
  }
}

/** Ends the request for a client, if there is one: its backup has been made, or has failed. */
export function endBackupRequest({ files }: System, store: string, client: string): void {
  dropFile(files, path.join(storeFolder(store, REQUESTS_DIRECTORY), client));
}
