/**
 * Brings this machine's catalog of a client in a bucket up to date, for readers. Repeats work on a client that other
 * machines have moved or written to.
 */
import { asTardisError } from '../../errors/index.js';
import { type ClientDirectory, followMove, mediumOf, reopenClient } from '../index.js';
import type { System } from '../../system/index.js';
import { Catalog, hasLog } from '../catalog/index.js';
import { openParts } from './open-parts.js';

/**
 * Maximum number of rewrites that are followed in one call, since a hostile writer may have made an endless sequence
 * of generations.
 */
const MAX_FOLLOWED = 1000;
/** Maximum number of times that work is done because other machines have written to the client each time before. */
const MAX_ATTEMPTS = 20;

/**
 * Applies the commits that the catalog lacks, and makes the catalog if there is none. Writes nothing to the bucket. If
 * another process of this machine writes to the client, that process keeps the catalog up to date. If a rewrite has
 * replaced this generation by another one, fetches that one. Throws CLIENT_BUSY if another process writes and has made
 * no catalog yet, and errors of a bucket.
 */
export function catchUp(system: System, directory: ClientDirectory): Promise<void> {
  return inNewest(system, directory, (present) => catchUpOnce(system, present));
}

/**
 * Returns the result of work on the newest generation of a client. If the work finds that a rewrite has replaced its
 * generation by another one, that one is fetched, and the work is done there, for at most `mostFollowed` rewrites.
 */
export async function inNewest<T>(
  system: System,
  directory: ClientDirectory,
  work: (present: ClientDirectory) => Promise<T>,
  mostFollowed: number = MAX_FOLLOWED,
): Promise<T> {
  let present = directory;
  for (let followed = 0; ; followed += 1) {
    try {
      return await work(present);
    } catch (error) {
      if (!(await isFollowed(system, present, error)) || followed >= mostFollowed) throw error;
      present = reopenClient(system, present);
    }
  }
}

/**
 * Returns the result of work that no other machine has disturbed: if it throws STORE_TAKEN, it is done again. Throws
 * STORE_TAKEN if other machines wrote to the client again and again.
 */
export async function untilUndisturbed<T>(work: (isAgain: boolean) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(attempt > 1);
    } catch (error) {
      if (asTardisError(error).code !== 'STORE_TAKEN' || attempt >= MAX_ATTEMPTS) throw error;
    }
  }
}

/**
 * True if the error shows that a rewrite has replaced this generation by another one. Then the small files of that
 * generation have been fetched, and opening the client again opens it. False for every other error.
 */
export async function isFollowed(
  system: System,
  directory: ClientDirectory,
  error: unknown,
): Promise<boolean> {
  const { code, context } = asTardisError(error);
  if (code !== 'CLIENT_MOVED' || typeof context.generation !== 'string') return false;
  await followMove(system, directory, context.generation);
  return true;
}

async function catchUpOnce(system: System, directory: ClientDirectory): Promise<void> {
  const isThere = (): boolean => system.files.status(directory.catalogPath) !== undefined;
  using lock = await mediumOf(system, directory)
    .claim({ requestsLock: false })
    .catch((error: unknown) => {
      if (asTardisError(error).code === 'CLIENT_BUSY' && isThere()) return undefined;
      throw error;
    });
  if (lock === undefined) return;
  const { packs, backend, catalog } = await openParts(system, directory, { packBytes: 0 });
  packs.close();
  backend.close();
  catalog.close();
}

/**
 * True if a bucket may have commits that this machine's catalog lacks. Sends one request. Throws errors of a bucket.
 */
export async function isBehind(system: System, directory: ClientDirectory): Promise<boolean> {
  const last = lastCommit(system, directory);
  if (last === undefined) return true;
  using records = mediumOf(system, directory).records();
  if (!hasLog(records)) return false;
  for await (const _ of records.commitsAfter(last)) return true; // even if it is not the next one
  return false;
}

/** Returns the number of the last commit in the catalog; undefined if there is no usable catalog. */
function lastCommit(system: System, { catalogPath }: ClientDirectory): number | undefined {
  if (system.files.status(catalogPath) === undefined) return undefined;
  try {
    return Catalog.lastCommit(system, catalogPath).commit || undefined;
  } catch (error) {
    if (asTardisError(error).code !== 'CATALOG_DAMAGED') throw error;
    return undefined; // the catalog is made again
  }
}
