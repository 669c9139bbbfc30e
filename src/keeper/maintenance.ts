/** Work on a client's store outside a session, with the client's lock held: rebuild. */
import path from 'node:path';
import { Catalog, findRemovals, recoverCatalog, type RecoveryReport } from '../catalog/index.js';
import { asTardisError, TardisError, throwIfAborted } from '../errors/index.js';
import {
  acquireClient,
  clearIncoming,
  type ClientDirectory,
  type Counters,
  DirectoryBackend,
  packName,
  readCommit,
  readRecord,
  recordBytes,
  RecordKind,
  scanPack,
} from '../store/index.js';
import type { System } from '../system/index.js';
import { Reserve } from './reserve.js';
import { type CatalogCopy, listCopies, unpackCopy } from './catalog-copies.js';
import { removeDatabase, replaceCatalog } from './replace-catalog.js';

export interface RebuildReport extends RecoveryReport {
  /** Checkpoints that the old catalog knew and the packs no longer hold. */
  readonly lostCommits: number;
  /** Name of the file that the old catalog is kept in, if it knew more. */
  readonly keptCatalog: string | undefined;
  /** Name of the copy that it was begun with; undefined: all was read. */
  readonly fromCopy: string | undefined;
}

export interface RebuildOptions {
  /** Begin with the newest copy of the catalog that is of any use. */
  readonly fromCopy?: boolean;
  /** Ends it early, as INTERRUPTED: the catalog that was there stays. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (pack: number, lastPack: number) => void;
}

/** The old catalog keeps this ending when a rebuild finds less than it knew. */
const KEPT_SUFFIX = '.before-rebuild';

/**
 * Makes the catalog anew from the packs, checking every record (or, with `fromCopy`, those after a copy), and puts it in the place of
 * the old one only when it is complete. No skip hash survives: the next backup compares everything. An
 * old catalog that knew of later checkpoints (their packs are cut off or gone) is kept beside.
 * Throws CLIENT_BUSY, STORE_NOT_WRITABLE, DISK_FULL, STORE_NEWER.
 */
export async function rebuildCatalog(
  system: System,
  directory: ClientDirectory,
  options: RebuildOptions = {},
): Promise<RebuildReport> {
  const lock = await acquireClient(system, directory);
  const fresh = `${directory.catalogPath}.new`;
  try {
    const old = readOld(system, directory.catalogPath);
    clearIncoming(system, directory);
    const replaying = {
      ...options,
      ...(old?.isWritten === true ? { knownCommit: old.commit } : {}),
    };
    const recovered =
      (options.fromCopy === true
        ? await replayCopies(system, directory, fresh, replaying)
        : undefined) ?? (await replay(system, directory, fresh, replaying));
    throwIfAborted(options.signal);
    const report = withLosses(recovered, old, directory.catalogPath);
    finish(system, fresh, report);
    const kept = report.keptCatalog === undefined ? undefined : directory.catalogPath + KEPT_SUFFIX;
    await replaceCatalog(system, fresh, directory.catalogPath, kept);
    return report;
  } catch (error) {
    dropUnfinished(system, fresh);
    const told = new Reserve(system, directory.path, {}).explain(error);
    throw asTardisError(told, `rebuilding ${directory.catalogPath}`);
  } finally {
    lock.release();
  }
}

/** What the old catalog knew last; the commit behind it was told to nobody. */
interface Replaying extends RebuildOptions {
  readonly knownCommit?: number;
}

interface Replayed extends RecoveryReport {
  readonly fromCopy: string | undefined;
}

/** A new catalog with all that the packs say; begun with a copy, what they say after it. */
async function replay(
  system: System,
  directory: ClientDirectory,
  fresh: string,
  { onProgress, knownCommit, signal }: Replaying,
  copy?: CatalogCopy,
): Promise<Replayed> {
  removeDatabase(system, fresh);
  if (copy !== undefined) await unpackCopy(system, directory, copy, fresh);
  const backend = new DirectoryBackend(directory.path, system.files);
  try {
    const catalog = Catalog.openForWriting(system, fresh);
    try {
      if (copy !== undefined) await requireCommit(catalog, backend);
      const report = await recoverCatalog(catalog, backend, {
        checkBodies: true,
        ...(knownCommit === undefined ? {} : { knownCommit }),
        ...(onProgress === undefined ? {} : { onProgress }),
        ...(signal === undefined ? {} : { signal }),
      });
      catalog.close();
      return { ...report, fromCopy: copy?.name };
    } catch (error) {
      catalog.abandon();
      throw error;
    }
  } finally {
    backend.close();
  }
}

/** Tries the copies, the newest first; undefined: none is of use. */
async function replayCopies(
  system: System,
  directory: ClientDirectory,
  fresh: string,
  options: Replaying,
): Promise<Replayed | undefined> {
  for (const copy of listCopies(system, directory)) {
    try {
      return await replay(system, directory, fresh, options, copy);
    } catch (error) {
      if (asTardisError(error).code !== 'CATALOG_DAMAGED') throw error;
    }
  }
  return undefined;
}

/**
 * A copy is of this history if its last commit stands where it says. Nothing that it knew of unchanged directories is
 * trusted. Throws CATALOG_DAMAGED.
 */
async function requireCommit(catalog: Catalog, backend: DirectoryBackend): Promise<void> {
  if (catalog.isDamaged()) throw new TardisError('CATALOG_DAMAGED', 'the copy is damaged');
  const { commit, pack, position } = catalog.state.readCommitPoint();
  let isThere = false;
  for await (const { header, position: at } of scanPack(backend, pack, 0, true)) {
    const bytes = recordBytes(header);
    if (at + bytes !== position || header.kind !== RecordKind.commit) continue;
    const record = await readRecord(backend, packName(pack), at, bytes);
    isThere = readCommit(record).commit === commit;
    break;
  }
  if (!isThere) {
    throw new TardisError(
      'CATALOG_DAMAGED',
      `the packs have no commit ${commit} where the copy says`,
    );
  }
  // Of what came between the copy and an image, listings and events may be gone.
  const { image } = await findRemovals(backend);
  if (image !== undefined && image.body.commit > commit) {
    throw new TardisError('CATALOG_DAMAGED', `the packs begin anew after commit ${commit}`);
  }
  catalog.begin();
  catalog.directories.forgetSkipHashes();
  catalog.commit();
}

/** Records of what had been forgotten have told it again; and sets that were made so far may lack something. */
function finish(system: System, fresh: string, report: RebuildReport): void {
  const catalog = Catalog.openForWriting(system, fresh);
  try {
    catalog.begin();
    catalog.state.writeWaste({ versions: true, contents: true });
    if (report.isMetadataLost) {
      catalog.state.write(report.counters, report.point);
      catalog.state.writeDoubtfulUpTo(report.counters.set);
    }
    catalog.commit();
  } catch (error) {
    catalog.abandon();
    throw error;
  }
  catalog.close();
}

interface OldCatalog {
  readonly commit: number;
  /** False: it was made in the place of one that was lost. */
  readonly isWritten: boolean;
  readonly counters: Counters;
}

/** What the old catalog knew. One that cannot be opened is no hindrance, one of a newer version is. */
function readOld(system: System, catalogPath: string): OldCatalog | undefined {
  let old: Catalog | undefined;
  try {
    old = Catalog.openForReading(system, catalogPath);
    const { state } = old;
    const { commit } = state.readCommitPoint();
    return { commit, isWritten: state.isWritten(), counters: state.readCounters() };
  } catch (error) {
    if (asTardisError(error).code === 'CATALOG_NEWER') throw error;
    return undefined;
  } finally {
    old?.close();
  }
}

/** Compares what was recovered with what was known. No number that was given is given again. */
function withLosses(
  recovered: Replayed,
  old: OldCatalog | undefined,
  catalogPath: string,
): RebuildReport {
  const lostCommits = Math.max(0, (old?.commit ?? 0) - recovered.point.commit);
  if (old === undefined || lostCommits === 0) {
    return { ...recovered, lostCommits: 0, keptCatalog: undefined };
  }
  const [known, found] = [old.counters, recovered.counters];
  return {
    ...recovered,
    lostCommits,
    isMetadataLost: true,
    keptCatalog: path.basename(catalogPath + KEPT_SUFFIX),
    counters: {
      set: Math.max(known.set, found.set),
      root: Math.max(known.root, found.root),
      directory: Math.max(known.directory, found.directory),
      sequence: Math.max(known.sequence, found.sequence),
    },
  };
}

/** The half of a catalog is of no use, and on a full disk in the way. */
function dropUnfinished(system: System, fresh: string): void {
  try {
    removeDatabase(system, fresh);
  } catch {
    // The next rebuild removes it; the failure that led here is the one to tell.
  }
}
