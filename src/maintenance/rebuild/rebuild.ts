/**
 * Rebuilds a client outside of a session, with the client's lock held. In a bucket, only the catalog of this machine is
 * made again if all commits are whole. Otherwise the remaining data is copied into a new generation, and one request
 * replaces the damaged generation by it. After that, other machines use the new generation too.
 */
import { asTardisError, TardisError } from '../../errors/index.js';
import { copyWhole } from '../rewrite/index.js';
import {
  applyFound,
  breakDependants,
  Catalog,
  comparePages,
  ContentRecords,
  FoundContents,
  holdsSeals,
  KnownHistory,
  type ListedLog,
  type LostCommit,
  recoverCatalog,
  type RecoveryReport,
  removeDatabase,
  ROOTS_DIRECTORY,
  SalvageWalk,
  snapshotCatalog,
} from '../../store/catalog/index.js';
import {
  type Backend,
  type ClientDirectory,
  type Counters,
  followMove,
  hasEncryptingKeys,
  mediumOf,
  parseCommitObject,
  readFormat,
  reopenClient,
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
  takeSnapshot,
  untilUndisturbed,
} from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import { rootsOf } from './orphans.js';

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
  if ((await after.hasFormer?.()) === true) await after.removeFormer?.(() => undefined);
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

/**
 * Maximum number of orphans (directories whose own entry is lost) whose roots are looked up. Further orphans are placed
 * below the first root.
 */
const MAX_ORPHANS = 1_000_000;

/** A catalog made from all commits of a log that can be read. */
interface LogCatalog {
  /** Path of the catalog's file. The caller uses or removes it. */
  readonly file: string;
  readonly commits: number;
  /** Commits whose objects are missing or damaged, in ascending order of their numbers. */
  readonly lost: readonly LostCommit[];
  /** True if entries or whole sets may be missing. */
  readonly isMetadataLost: boolean;
  /** True if the log has holes or ends too early, and the missing data was taken from this machine's catalog. */
  readonly knowsMore: boolean;
  /** True if every machine can make this catalog from the log alone. */
  readonly isWhole: boolean;
  /** Highest known number of a commit. */
  readonly last: number;
  readonly counters: Counters;
}

interface LogCatalogOptions {
  /** True to use only the log, even if this machine's catalog has more. */
  readonly packsOnly: boolean;
  readonly signal: AbortSignal;
}

type SalvagedLog = Backend & ListedLog;

interface Replayed extends RecoveryReport {
  readonly walk: SalvageWalk;
}

/**
 * Makes the catalog of a client in a bucket again from all remaining commits. If the log has holes, they are filled from this
 * machine's catalog, or from a copy in the bucket. That catalog must be sound and have the same history. Throws CLIENT_MOVED if a rewrite has made another generation, STORE_NEWER for a newer format,
 * STORE_FORKED if this machine's catalog is of another history, and INTERRUPTED if it is aborted.
 */
async function makeLogCatalog(
  system: System,
  directory: ClientDirectory,
  log: SalvagedLog,
  options: LogCatalogOptions,
): Promise<LogCatalog> {
  const { catalogPath } = directory;
  const file = `${catalogPath}.new`;
  removeDatabase(system, file);
  const replayed = await replay(system, file, log, options.signal);
  const { lost } = replayed.walk;
  using known = options.packsOnly ? undefined : await knownTo(system, directory, log, lost);
  const fit = known === undefined ? undefined : await fitOf(known, replayed, log, file);
  if (known !== undefined && fit === undefined) {
    const what = 'the bucket has other commits than this machine knows';
    throw new TardisError('STORE_FORKED', `${what}: --packs-only goes on with those in the bucket`);
  }
  const knownCommit = known?.point.commit ?? 0;
  const last = Math.max(replayed.walk.lastCommit, knownCommit);
  const isShort = knownCommit > replayed.point.commit;
  const isHelpful = isShort || (lost[0]?.commit ?? 0) <= knownCommit;
  const found = {
    file,
    commits: replayed.commits,
    lost: [...lost, ...behind(replayed.walk, last)],
    last,
  };
  if (!replayed.isMetadataLost && !isShort) {
    return { ...found, ...replayed, lost, isWhole: true, knowsMore: false };
  }
  let best = replayed;
  if (known !== undefined && isHelpful) {
    removeDatabase(system, file);
    snapshotCatalog(system, catalogPath, file);
    best = await replay(system, file, log, options.signal);
  }
  await findContents(system, file, log);
  if (best.isMetadataLost) await findRoots(system, file, log);
  return {
    ...found,
    isMetadataLost: best.isMetadataLost || (fit ?? 0) > 0,
    knowsMore: best !== replayed,
    isWhole: false,
    counters: best.counters,
  };
}

/** Returns the commits after the end of the log, up to `last`, which only this machine's catalog knows. */
function behind({ lastCommit }: SalvageWalk, last: number): LostCommit[] {
  const lost: LostCommit[] = [];
  for (let commit = lastCommit + 1; commit <= last; commit += 1) {
    lost.push({ commit, why: 'missing' });
  }
  return lost;
}

/** Applies the commits after the last one of a catalog, which may be empty, to that catalog. */
async function replay(
  system: System,
  file: string,
  log: SalvagedLog,
  signal: AbortSignal,
): Promise<Replayed> {
  return Catalog.openForWriting(system, file, { keepsSums: false }).closedAfter(async (catalog) => {
    const walk = new SalvageWalk(log, catalog.state.readCommitPoint());
    // Contents are not read here, since they are read when they are copied or checked.
    const options = { checkBodies: true, onlyMetadata: true, walk, signal };
    const report = await recoverCatalog(catalog, log, options);
    catalog.begin();
    catalog.directories.forgetSkipHashes();
    catalog.state.write(report.counters, report.point);
    catalog.state.writeWaste({ versions: true, contents: true });
    catalog.commit();
    return { ...report, walk };
  });
}

/** Finds missing contents in all packs and adds them to the catalog. Packs that no commit names are searched too. */
async function findContents(system: System, file: string, log: SalvagedLog): Promise<void> {
  await Catalog.openForWriting(system, file, { keepsSums: false }).closedAfter(async (catalog) => {
    catalog.begin();
    const contents = new ContentRecords(catalog, log, true, () => undefined);
    const found = new FoundContents(catalog, log, contents, new Map());
    await found.load([...(await log.removablePacks()).keys()]);
    for (const digest of found.digests) applyFound(catalog, digest);
    breakDependants(catalog);
    catalog.commit();
  });
}

/**
 * Records the roots of orphans, so that each orphan is placed below its own root. Listings of orphans are copied
 * without their path.
 */
async function findRoots(system: System, file: string, log: SalvagedLog): Promise<void> {
  await Catalog.openForWriting(system, file, { keepsSums: false }).closedAfter(async (catalog) => {
    const orphans = catalog.history.orphans(MAX_ORPHANS);
    const roots = await rootsOf({ catalog, backend: log }, orphans);
    catalog.begin();
    for (const [directory, root] of roots) {
      if (catalog.directories.exists(directory)) continue;
      const name = Buffer.from(`directory-${directory}`);
      const place = { root, parent: ROOTS_DIRECTORY, name, inode: 0n, birthTimeNs: 0n };
      catalog.directories.add(directory, place);
    }
    catalog.commit();
  });
}

/**
 * Opens the catalog of this machine. If it ends before the first lost commit, it is replaced by the newest usable copy
 * in the bucket, which may reach further. Returns undefined and throws as `openKnown` does.
 */
async function knownTo(
  system: System,
  directory: ClientDirectory,
  log: SalvagedLog,
  [lost]: readonly LostCommit[],
): Promise<KnownHistory | undefined> {
  const { catalogPath } = directory;
  const known = await openKnown(system, catalogPath);
  if (lost === undefined || (known?.point.commit ?? 0) >= lost.commit) return known;
  known?.close();
  await takeSnapshot(system, directory, log);
  return openKnown(system, catalogPath);
}

/**
 * Opens the catalog of this machine. Returns undefined if there is none, it has no commit, or it is damaged. Throws
 * CATALOG_NEWER if it has a later version.
 */
async function openKnown(system: System, catalogPath: string): Promise<KnownHistory | undefined> {
  if (system.files.status(catalogPath) === undefined) return undefined;
  try {
    if ((await comparePages(system, catalogPath, false)).kind === 'damaged') return undefined;
    const history = KnownHistory.open(system, catalogPath);
    if (history.point.commit > 0) return history;
    history.close();
  } catch (error) {
    const { code } = asTardisError(error);
    if (code !== 'CATALOG_DAMAGED' && code !== 'RECORD_DAMAGED') throw error;
  }
  return undefined;
}

/**
 * Returns the number of versions in a catalog that contradict the log. Returns undefined if the two are of different
 * histories.
 */
async function fitOf(
  history: KnownHistory,
  replayed: Replayed,
  log: SalvagedLog,
  replayedPath: string,
): Promise<number | undefined> {
  const { point } = history;
  // If somebody has written other commits in place of the lost ones, the catalog would lack those.
  if (replayed.walk.strays.length > 0) return undefined;
  const own = await whole(log, point.commit);
  if (own !== undefined && own.checksum !== point.checksum) return undefined;
  const next = await whole(log, point.commit + 1);
  if (next !== undefined && next.body.previous !== point.checksum) return undefined;
  const [first] = replayed.walk.lost;
  const isWholeUpTo = first === undefined ? !replayed.isMetadataLost : first.commit > point.commit;
  if (own !== undefined && isWholeUpTo) return 0;
  const names = ['set', 'root', 'directory', 'sequence'] as const;
  const isBehind = names.some((name) => replayed.counters[name] > history.counters[name]);
  const isAtEnd = replayed.point.commit <= point.commit;
  return isAtEnd && isBehind ? undefined : history.contradictionsTo(replayedPath);
}

async function whole(
  log: SalvagedLog,
  commit: number,
): Promise<ReturnType<typeof parseCommitObject> | undefined> {
  try {
    const bytes = await log.commitObject(commit);
    return bytes && parseCommitObject(bytes, commit);
  } catch (error) {
    const { code } = asTardisError(error);
    if (code !== 'RECORD_DAMAGED' && code !== 'OBJECT_DAMAGED') throw error;
    return undefined;
  }
}
