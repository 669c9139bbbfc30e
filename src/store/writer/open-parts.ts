/** Opens the parts of a client's store: the packs, and the catalog, brought up to date with the packs. */
import type { PackNumber } from '../../model/index.js';
import {
  Catalog,
  type CommitPoint,
  hasLog,
  recoverCatalog,
  removeDatabase,
} from '../catalog/index.js';
import { asTardisError, cleanUp } from '../../errors/index.js';
import {
  type Backend,
  type ClientDirectory,
  type Counters,
  listPacks,
  mediumOf,
  type RecordWriter,
} from '../index.js';
import { OpenFd, type System } from '../../system/index.js';
import { rebuildFromPacks } from './rebuild-from-packs.js';
import { takeSnapshot } from './take-snapshot.js';

/** Options for opening a catalog. */
interface CatalogLimits {
  /** Bytes of memory for pages of the catalog. */
  readonly catalogCacheBytes?: number;
  /** False to refuse a catalog of an earlier version with CATALOG_OLDER and leave it unchanged. */
  readonly mayUpgrade?: boolean;
}

/** Options for opening catalog and packs. */
export interface PartsLimits extends CatalogLimits {
  /** Size in bytes at which a pack is closed. */
  readonly packBytes: number;
  /**
   * True to read no commits from a log after those in the catalog. Only if the caller commits next, since that commit
   * shows a conflict.
   */
  readonly assumesNewest?: boolean;
}

/** The origin of the catalog of a client in a bucket. */
interface Origin {
  /** True if a missing catalog may be made from a copy in the bucket. */
  mayBeCopy: boolean;
  /** True if the catalog was made from a copy. */
  isCopy: boolean;
}

/** Errors that may occur when commits are applied to a wrong copy of the catalog. */
const DOUBTFUL: ReadonlySet<string> = new Set(['STORE_FORKED', 'RECORD_DAMAGED', 'INTERNAL']);
/** Maximum number of attempts to open a catalog: with a damaged catalog, with a wrong copy, and with the log alone. */
const MOST_TRIES = 3;

interface OpenedParts {
  readonly catalog: Catalog;
  readonly backend: Backend;
  readonly packs: RecordWriter;
  readonly counters: Counters;
  readonly point: CommitPoint;
  readonly lastPack: PackNumber;
  /** Numbers of files that are not packs of this client, from the pack of `point` on. */
  readonly strangePacks: readonly PackNumber[];
}

/**
 * Fsyncs SQLite's rollback journal, if there is one. A process that truncated or just created it may have been
 * killed before its fsync. After a power cut an older journal could then return, and undo what was written
 * since.
 */
async function endJournal({ files }: System, { catalogPath }: ClientDirectory): Promise<void> {
  const journal = `${catalogPath}-journal`;
  if (files.status(journal) === undefined) return;
  using opened = new OpenFd(files, files.open(journal, 'write'));
  await files.sync(opened.fd);
}

/**
 * Opens catalog and packs, and applies commits that the catalog lacks after a crash. Afterwards a transaction is open.
 * A lost catalog is rebuilt as by `rebuildCatalog`, which marks the same sets as doubtful. For a client in a bucket the
 * catalog is a cache: a damaged one is made again from the log.
 */
export async function openParts(
  system: System,
  directory: ClientDirectory,
  limits: PartsLimits,
): Promise<OpenedParts> {
  const origin: Origin = { mayBeCopy: directory.bucket !== undefined, isCopy: false };
  for (let tries = 1; ; tries += 1) {
    try {
      return await openOnce(system, directory, limits, origin);
    } catch (error) {
      const { code } = asTardisError(error);
      const isWrong = code === 'CATALOG_DAMAGED' || (origin.isCopy && DOUBTFUL.has(code));
      if (directory.bucket === undefined || !isWrong || tries === MOST_TRIES) throw error;
      removeDatabase(system, directory.catalogPath);
      origin.mayBeCopy = !origin.isCopy;
      origin.isCopy = false;
    }
  }
}

async function openOnce(
  system: System,
  directory: ClientDirectory,
  limits: PartsLimits,
  origin: Origin,
): Promise<OpenedParts> {
  await endJournal(system, directory);
  let catalog = openCatalog(system, directory, limits);
  const medium = mediumOf(system, directory);
  const backend = medium.records();
  try {
    let isUnwritten = !catalog.state.isWritten();
    // With a log, a lost catalog needs no rebuild: it is filled in the same way as any catalog is brought up to date.
    const isLost = isUnwritten && !hasLog(backend);
    if (isLost && (await listPacks(backend)).length > 0) {
      catalog.abandon();
      removeDatabase(system, directory.catalogPath);
      await rebuildFromPacks(system, directory, { notesLoss: true });
      catalog = openCatalog(system, directory, limits);
    }
    if (isUnwritten && origin.mayBeCopy) {
      catalog.close();
      origin.isCopy = await takeSnapshot(system, directory, backend);
      catalog = openCatalog(system, directory, limits);
      isUnwritten = !catalog.state.isWritten();
    }
    const report = await recoverCatalog(catalog, backend, {
      checkBodies: false,
      begins: isUnwritten || origin.isCopy,
      assumesNewest:
        limits.assumesNewest === true && hasLog(backend) && !isUnwritten && !origin.isCopy,
    });
    const { counters, point, lastPack } = report;
    catalog.begin();
    if (isUnwritten) {
      // This state is written before the first pack exists, so that a first checkpoint that was cut short is not
      // mistaken for an acknowledged one.
      catalog.state.write(counters, point);
      catalog.commit();
      catalog.begin();
    }
    const strangePacks = report.strangePacks.filter((pack) => pack >= point.pack);
    const packs = medium.writer(backend, {
      lastPack,
      lastCommit: point.commit,
      packBytes: limits.packBytes,
    });
    return { catalog, backend, packs, counters, point, lastPack, strangePacks };
  } catch (error) {
    const explained = catalog.explained(error);
    backend.close();
    // A refused catalog is closed in order: it must not look like that of a session that runs or was killed.
    if (asTardisError(explained).code === 'CATALOG_DAMAGED') cleanUp(() => catalog.close());
    else catalog.abandon();
    throw explained;
  }
}

function openCatalog(
  system: System,
  { catalogPath }: ClientDirectory,
  { catalogCacheBytes, mayUpgrade }: CatalogLimits,
): Catalog {
  const options = { cacheBytes: catalogCacheBytes, mayUpgrade };
  return Catalog.openForWriting(system, catalogPath, options);
}
