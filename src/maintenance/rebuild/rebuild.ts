/**
 * Rebuilds a client outside of a session, with the client's lock held. In a bucket, only the catalog of this machine is
 * made again if all commits are whole. Otherwise the remaining data is copied into a new generation, and one request
 * replaces the damaged generation by it. After that, other machines use the new generation too.
 */
import { asTardisError, TardisError } from '../../errors/index.js';
import { holdsSeals, type LostCommit, removeDatabase } from '../../store/catalog/index.js';
import {
  type ClientDirectory,
  followMove,
  hasEncryptingKeys,
  mediumOf,
  reopenClient,
  readFormat,
  Salvage,
} from '../../store/index.js';
import {
  catchUp,
  inNewest,
  rebuildFromPacks,
  type RebuildOptions,
  type RebuildReport,
  replaceCatalog,
  Reserve,
  type StoreLimits,
  untilUndisturbed,
} from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import { copyWhole } from '../rewrite/index.js';
import { type LogCatalog, makeLogCatalog, type SalvagedLog } from './log-catalog.js';

interface BucketRebuildOptions {
  readonly packsOnly: boolean;
  readonly limits: StoreLimits;
  readonly signal: AbortSignal;
  /** Called for each content that is copied into a new generation. */
  readonly onProgress: (done: number, of: number) => void;
}

export interface BucketRebuild {
  /** Directory of the client, in the new generation if there is one. */
  readonly directory: ClientDirectory;
  /** Number of commits that were read. */
  readonly commits: number;
  /** Commits that are damaged or missing, in the order of their numbers. */
  readonly lost: readonly LostCommit[];
  /** True if entries or whole sets may be missing. */
  readonly isMetadataLost: boolean;
  /** True if the catalog of this machine had data that the bucket lacks. */
  readonly knowsMore: boolean;
  /** True if the remaining data was copied into a new generation. */
  readonly isNewGeneration: boolean;
}

/** Maximum number of rewrites by other machines that a rebuild follows, since each costs it a walk through the log. */
const MAX_FOLLOWED = 20;

/**
 * Rebuilds a client in a bucket. Throws STORE_FORKED if this machine's catalog is of another history, STORE_NEWER for a
 * newer format, STORE_TAKEN if other machines wrote to the client again and again, CLIENT_BUSY if it is in use here,
 * DISK_FULL if this machine has no space, INTERRUPTED if it is aborted, and errors of a bucket.
 */
export function rebuildInBucket(
  system: System,
  directory: ClientDirectory,
  options: BucketRebuildOptions,
): Promise<BucketRebuild> {
  const rebuild = (present: ClientDirectory): Promise<BucketRebuild> =>
    untilUndisturbed(() => rebuildOnce(system, present, options));
  return inNewest(system, directory, rebuild, MAX_FOLLOWED);
}

async function rebuildOnce(
  system: System,
  directory: ClientDirectory,
  options: BucketRebuildOptions,
): Promise<BucketRebuild> {
  const medium = mediumOf(system, directory);
  const lock = await medium.claim();
  let found: LogCatalog;
  let next: string | undefined;
  try {
    medium.clearStaged();
    const log = medium.records() as SalvagedLog;
    try {
      found = await makeLogCatalog(system, directory, log, options);
      if (found.isWhole) await replaceCatalog(system, found.file, directory.catalogPath, undefined);
      else next = await moveOn(system, directory, found, options);
    } finally {
      log.close();
      removeDatabase(system, `${directory.catalogPath}.new`);
    }
  } finally {
    lock.release();
  }
  const { commits, lost, isMetadataLost, knowsMore, isWhole } = found;
  if (next !== undefined) await followMove(system, directory, next);
  const present = reopenClient(system, directory);
  await catchUp(system, present);
  // A former generation remains if an earlier run was killed before it removed it.
  const after = mediumOf(system, present);
  if (await after.hasFormer()) await after.removeFormer(() => undefined);
  const report = { commits, lost, isMetadataLost, knowsMore, isNewGeneration: !isWhole };
  return { ...report, directory: present };
}

/**
 * Copies the remaining data into a new generation, switches to it, and returns its name. Throws STORE_TAKEN if another
 * machine has written to the client meanwhile.
 */
async function moveOn(
  system: System,
  directory: ClientDirectory,
  { file, last, lost, isMetadataLost, counters }: LogCatalog,
  { limits, signal, onProgress }: BucketRebuildOptions,
): Promise<string> {
  const salvage = await Salvage.begin(system, directory);
  try {
    await copyWhole(system, {
      source: directory,
      catalogPath: file,
      isEncrypting: isEncrypting(system, directory, file),
      target: salvage.second,
      doubtfulUpTo: isMetadataLost ? counters.set : 0,
      limits,
      signal,
      onProgress,
    });
    const missing = lost.filter(({ why }) => why === 'missing').map(({ commit }) => commit);
    await salvage.switchFrom({ last, missing });
    return salvage.second.generation!;
  } catch (error) {
    const isTaken = asTardisError(error).code === 'STORE_TAKEN';
    if (!isTaken && !(await salvage.isOvertaken(last))) throw error;
    await salvage.discard();
    const what = `another machine has written to "${directory.client}" since`;
    throw new TardisError('STORE_TAKEN', what, {}, error);
  } finally {
    salvage.close();
  }
}

/**
 * True if the format, the keys or the catalog show that the client encrypts. Its records are then copied without
 * checking their contents.
 */
function isEncrypting(system: System, directory: ClientDirectory, catalogPath: string): boolean {
  const { keys } = readFormat(system.files, directory.path) ?? {};
  return (
    keys === 'encryption' ||
    hasEncryptingKeys(system, directory.path) ||
    holdsSeals(system, catalogPath)
  );
}

/**
 * Rebuilds the catalog from the packs and checks every record. With `isQuick`, it checks only the headers of contents.
 * Throws CLIENT_BUSY if the client is in use, STORE_NOT_WRITABLE
 * or DISK_FULL if the catalog cannot be written, and STORE_NEWER for a record of a newer format.
 */
export async function rebuildCatalog(
  system: System,
  directory: ClientDirectory,
  options: RebuildOptions = {},
): Promise<RebuildReport> {
  const medium = mediumOf(system, directory);
  using _lock = await medium.claim();
  try {
    medium.clearStaged();
    return await rebuildFromPacks(system, directory, options);
  } catch (error) {
    const explained = new Reserve(system, directory.path, {}).explain(error);
    throw asTardisError(explained, `rebuilding ${directory.catalogPath}`, 'writeStore');
  }
}
