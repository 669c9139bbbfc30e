/** Work on a client's store outside a session, with the client's lock held: rebuild, damage marks. */
import path from 'node:path';
import { applyDamage, Catalog, recoverCatalog, type RecoveryReport } from '../catalog/index.js';
import { asTardisError } from '../errors/index.js';
import {
  acquireClient,
  buildEvent,
  clearIncoming,
  type ClientDirectory,
  type Counters,
  DirectoryBackend,
} from '../store/index.js';
import type { System } from '../system/index.js';
import { ClientStore, type StoreLimits } from './storage/client-store.js';

export interface RebuildReport extends RecoveryReport {
  /** Checkpoints that the old catalog knew and the packs no longer hold. */
  readonly lostCommits: number;
  /** Name of the file that the old catalog is kept in, if it knew more. */
  readonly keptCatalog: string | undefined;
}

/** The old catalog keeps this ending when a rebuild finds less than it knew. */
const KEPT_SUFFIX = '.before-rebuild';

/**
 * Makes the catalog anew from the packs alone, checking every record, and puts it in the place of
 * the old one only when it is complete. No skip hash survives: the next backup compares everything. An
 * old catalog that knew of later checkpoints (their packs are cut off or gone) is kept beside.
 * Throws CLIENT_BUSY, STORE_NOT_WRITABLE, DISK_FULL, STORE_NEWER.
 */
export async function rebuildCatalog(
  system: System,
  directory: ClientDirectory,
  onProgress?: (pack: number, lastPack: number) => void,
): Promise<RebuildReport> {
  const { files } = system;
  const lock = await acquireClient(system, directory);
  const fresh = `${directory.catalogPath}.new`;
  try {
    const old = readOld(system, directory.catalogPath);
    clearIncoming(system, directory);
    removeDatabase(system, fresh);
    const backend = new DirectoryBackend(directory.path, files);
    const catalog = Catalog.openForWriting(system, fresh);
    let report: RebuildReport;
    try {
      const recovered = await recoverCatalog(catalog, backend, {
        checkBodies: true,
        ...(onProgress === undefined ? {} : { onProgress }),
      });
      report = withLosses(recovered, old, directory.catalogPath);
      if (report.isMetadataLost) {
        catalog.begin();
        catalog.state.write(report.counters, report.point);
        catalog.state.writeDoubtfulUpTo(report.counters.set);
        catalog.commit();
      }
    } catch (error) {
      catalog.abandon();
      throw error;
    } finally {
      backend.close();
    }
    catalog.close();
    if (report.keptCatalog === undefined) removeDatabase(system, directory.catalogPath);
    else keepDatabase(system, directory.catalogPath, directory.catalogPath + KEPT_SUFFIX);
    removeSideFiles(system, fresh);
    files.rename(fresh, directory.catalogPath);
    await files.syncDirectory(path.dirname(fresh));
    return report;
  } catch (error) {
    throw asTardisError(error, `rebuilding ${directory.catalogPath}`);
  } finally {
    lock.release();
  }
}

interface OldCatalog {
  readonly commit: number;
  readonly counters: Counters;
}

/** What the old catalog knew. One that cannot be opened is no hindrance, one of a newer version is. */
function readOld(system: System, catalogPath: string): OldCatalog | undefined {
  let old: Catalog | undefined;
  try {
    old = Catalog.openForReading(system, catalogPath);
    return { commit: old.state.readCommitPoint().commit, counters: old.state.readCounters() };
  } catch (error) {
    if (asTardisError(error).code === 'CATALOG_NEWER') throw error;
    return undefined;
  } finally {
    old?.close();
  }
}

/** Compares what was recovered with what was known. No number that was given is given again. */
function withLosses(
  recovered: RecoveryReport,
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

/** Moves a catalog aside with what belongs to it; an earlier one that was kept stays as it is. */
function keepDatabase(system: System, catalogPath: string, keptPath: string): void {
  const { files } = system;
  if (files.status(keptPath) !== undefined) {
    removeDatabase(system, catalogPath);
    return;
  }
  for (const suffix of ['-wal', '']) {
    const from = catalogPath + suffix;
    if (files.status(from) !== undefined) files.rename(from, keptPath + suffix);
  }
  removeSideFiles(system, catalogPath);
}

function removeDatabase(system: System, catalogPath: string): void {
  removeSideFiles(system, catalogPath);
  if (system.files.status(catalogPath) !== undefined) system.files.unlink(catalogPath);
}

function removeSideFiles(system: System, catalogPath: string): void {
  for (const suffix of ['-wal', '-shm', '-journal']) {
    const file = catalogPath + suffix;
    if (system.files.status(file) !== undefined) system.files.unlink(file);
  }
}

/**
 * Notes that the bytes of some contents are damaged, so that the next backup sends them again if the
 * source has them. Durable when it returns.
 */
export async function markDamaged(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  digests: readonly Buffer[],
): Promise<void> {
  const store = await ClientStore.open(system, directory, limits);
  try {
    const event = { type: 'damage', digests } as const;
    store.packs.append(buildEvent(store.nextSequence(), event));
    for (const digest of digests) applyDamage(store.catalog, digest);
    await store.checkpoint();
    store.close();
  } catch (error) {
    store.abandon();
    throw error;
  }
}
