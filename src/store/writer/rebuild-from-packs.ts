/**
 * Rebuilds a catalog from the packs, with the client's lock held. Holes in the packs are filled from a sound catalog or
 * a copy of it. If a part is found nowhere, all sets so far are marked as doubtful. This code is used by rebuilds, and
 * by sessions that find no catalog.
 */
import path from 'node:path';
import { Catalog, recoverCatalog, type RecoveryReport, removeDatabase } from '../catalog/index.js';
import { asTardisError, throwIfAborted } from '../../errors/index.js';
import {
  type Backend,
  type ClientDirectory,
  type Counters,
  higherCounters,
  mediumOf,
  sortPackFiles,
} from '../index.js';
import type { PackNumber } from '../../model/index.js';
import type { System } from '../../system/index.js';
import { findHistory, type FoundHistory } from './known-histories.js';
import { replaceCatalog } from './replace-catalog.js';

export interface RebuildReport extends RecoveryReport {
  /** Number of checkpoints that the old catalog contained, and that the packs do not contain any more. */
  readonly lostCommits: number;
  /** Name of the file in which the old catalog is kept; undefined if there was none. */
  readonly keptCatalog: string | undefined;
  /** True if the packs have holes, and the history was taken from the old catalog. */
  readonly knowsMore: boolean;
}

export interface RebuildOptions {
  /** True to read the headers of contents and not their bodies, which a check or a restore reads. */
  readonly isQuick?: boolean;
  /** True to use only the packs, even if the old catalog contains more. */
  readonly packsOnly?: boolean;
  /** True to record losses in the catalog, for the next backup to report. */
  readonly notesLoss?: boolean;
  /** Ends the rebuild early with INTERRUPTED; the old catalog stays. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (pack: PackNumber, lastPack: PackNumber) => void;
}

/** `knownCommit` is the last commit that the old catalog contained. A later one was never acknowledged. */
interface Replaying extends RebuildOptions {
  readonly knownCommit?: number;
}

interface Replayed extends RecoveryReport {
  readonly knowsMore: boolean;
  /** Number of checkpoints after those in the packs that are known to have existed. */
  readonly lostCommits: number;
}

/** State of the old catalog. */
interface OldCatalog {
  readonly commit: number;
  /** False if the catalog was just made in place of a lost one. */
  readonly isWritten: boolean;
  readonly counters: Counters;
}

/**
 * Makes a new catalog. When it is complete, it replaces the old one, which is kept beside it. The new one has no skip
 * hashes, so the next backup compares everything. Throws DISK_FULL, STORE_NEWER, INTERRUPTED.
 */
export async function rebuildFromPacks(
  system: System,
  directory: ClientDirectory,
  options: RebuildOptions,
): Promise<RebuildReport> {
  const { catalogPath } = directory;
  const fresh = `${catalogPath}.new`;
  using backend = mediumOf(system, directory).records();
  try {
    const old = readOld(system, catalogPath);
    const known = old?.isWritten === true ? { knownCommit: old.commit } : {};
    const work = new Rebuilding(system, directory, backend, { ...options, ...known });
    const replayed = await work.replayed(old);
    throwIfAborted(options.signal);
    const report = withLosses(replayed, old);
    finish(system, fresh, report, options.notesLoss === true);
    const isThere = (system.files.status(catalogPath)?.sizeBytes ?? 0) > 0;
    const kept = isThere ? nextKeptPath(system, directory) : undefined;
    await replaceCatalog(system, fresh, catalogPath, kept);
    pruneKept(system, directory);
    const strangePacks = (await sortPackFiles(backend)).strange; // including those before the image
    return { ...report, strangePacks, keptCatalog: kept && path.basename(kept) };
  } catch (error) {
    dropUnfinished(system, fresh);
    throw error;
  }
}

class Rebuilding {
  private readonly fresh: string;

  constructor(
    private readonly system: System,
    private readonly directory: ClientDirectory,
    private readonly backend: Backend,
    private readonly options: Replaying,
  ) {
    this.fresh = `${directory.catalogPath}.new`;
  }

  /** Fills the new catalog from the best source, and returns the report. */
  async replayed(old: OldCatalog | undefined): Promise<Replayed> {
    const fromPacks = await this.replay();
    const { packsOnly = false } = this.options;
    const isLacking = fromPacks.isMetadataLost || (old?.commit ?? 0) > fromPacks.point.commit;
    if (packsOnly || !isLacking) return fromPacks;
    const { system, directory, backend, fresh } = this;
    const source = { catalogPath: fresh, report: fromPacks };
    const found = await findHistory(system, directory, backend, source);
    if (found === undefined) return fromPacks;
    try {
      return await this.replayHistory(found, fromPacks);
    } finally {
      found.history.close();
    }
  }

  /** Makes the new catalog from a known history and the packs, and returns the report. */
  private async replayHistory(found: FoundHistory, fromPacks: RecoveryReport): Promise<Replayed> {
    const { history, point, contradictions } = found;
    const replayed = await this.replay(history.endingAt(point));
    return {
      ...replayed,
      // Catalog and packs have different records of one version, so one of them is wrong.
      isMetadataLost: replayed.isMetadataLost || contradictions > 0,
      damagedRecords: Math.max(replayed.damagedRecords, contradictions > 0 ? 1 : 0),
      knowsMore: true,
      lostCommits: Math.max(0, point.commit - fromPacks.point.commit),
    };
  }

  /** Makes a new catalog from the packs. If a history is given, only the later part of the packs is replayed. */
  private async replay(start?: ReturnType<FoundHistory['history']['endingAt']>): Promise<Replayed> {
    const { system, backend, fresh } = this;
    const { onProgress, knownCommit, signal, isQuick = false } = this.options;
    const options = { checkBodies: true, onlyMetadata: isQuick, start, knownCommit, onProgress };
    removeDatabase(system, fresh);
    const opened = Catalog.openForWriting(system, fresh, { keepsSums: false });
    const report = await opened.closedAfter((catalog) =>
      recoverCatalog(catalog, backend, { ...options, signal }),
    );
    return { ...report, knowsMore: false, lostCommits: 0 };
  }
}

/**
 * Records in the new catalog: the data that garbage collection can delete, the doubtful sets, and whether the packs
 * need an image of the catalog.
 */
function finish(system: System, fresh: string, report: RebuildReport, notesLoss: boolean): void {
  const catalog = Catalog.openForWriting(system, fresh, { keepsSums: false });
  const { state } = catalog;
  try {
    catalog.begin();
    state.writeWaste({ versions: true, contents: true });
    if (report.isMetadataLost) {
      state.write(report.counters, report.point);
      state.writeDoubtfulUpTo(report.counters.set);
    }
    if (report.isMetadataLost || report.knowsMore || report.lostCommits > 0) {
      state.writeImageRequested(true);
    }
    if (notesLoss) {
      const { damagedRecords, lostCommits, isMetadataLost, counters } = report;
      const doubtfulUpTo = isMetadataLost ? counters.set : 0;
      state.writeFoundLoss({ doubtfulUpTo, records: damagedRecords + lostCommits });
    }
    catalog.commit();
  } catch (error) {
    catalog.abandon();
    throw error;
  }
  catalog.close();
}

/** Returns the state of the old catalog; undefined if it cannot be opened. Throws CATALOG_NEWER. */
function readOld(system: System, catalogPath: string): OldCatalog | undefined {
  try {
    return Catalog.reading(system, catalogPath, ({ state }) => ({
      commit: state.readCommitPoint().commit,
      isWritten: state.isWritten(),
      counters: state.readCounters(),
    }));
  } catch (error) {
    if (asTardisError(error).code === 'CATALOG_NEWER') throw error;
    return undefined;
  }
}

/**
 * Compares the recovered state with the known one, and adds the losses. Counters never decrease, so that no
 * number is assigned twice.
 */
function withLosses(replayed: Replayed, old: OldCatalog | undefined): RebuildReport {
  const unknownCommits = Math.max(0, (old?.commit ?? 0) - replayed.point.commit);
  const report = { ...replayed, keptCatalog: undefined };
  if (unknownCommits === 0) return report;
  const found = replayed.counters;
  const known = old?.counters ?? found;
  return {
    ...report,
    lostCommits: unknownCommits + replayed.lostCommits,
    isMetadataLost: true,
    counters: higherCounters(known, found),
  };
}

/** Deletes the incomplete catalog, which is of no use and takes space on a full disk. */
function dropUnfinished(system: System, fresh: string): void {
  try {
    removeDatabase(system, fresh);
  } catch {
    // The next rebuild removes it. The failure that ended this rebuild is reported.
  }
}

/**
 * Name of a catalog that a rebuild has replaced, kept beside the new one as `tardis.db.before-rebuild-N`. Only a few are
 * kept: the most complete one, however old, and the newest ones.
 */
const KEPT_SUFFIX = '.before-rebuild-';
/** Maximum number of replaced catalogs kept for a client. */
const MAX_KEPT_CATALOGS = 3;

/** Measures how complete a catalog is. */
interface Worth {
  readonly sets: number;
  readonly versions: number;
}

const UNREADABLE: Worth = { sets: 0, versions: 0 };

/** Returns the path under which the next replaced catalog is kept. */
function nextKeptPath(system: System, directory: ClientDirectory): string {
  const newest = numbersOf(system, directory).at(-1) ?? 0;
  return pathOf(directory, newest + 1);
}

/** Deletes replaced catalogs beyond the limit, but never the most complete one. */
function pruneKept(system: System, directory: ClientDirectory): void {
  const numbers = numbersOf(system, directory);
  if (numbers.length <= MAX_KEPT_CATALOGS) return;
  let best: { number: number; worth: Worth } | undefined;
  for (const number of numbers) {
    const worth = worthOf(system, pathOf(directory, number));
    if (best === undefined || isMore(worth, best.worth)) best = { number, worth };
  }
  const others = numbers.filter((number) => number !== best!.number);
  for (const number of others.slice(0, numbers.length - MAX_KEPT_CATALOGS)) {
    removeDatabase(system, pathOf(directory, number));
  }
}

/** Returns the numbers of the kept catalogs, ascending. */
function numbersOf({ files }: System, { path: directory, catalogPath }: ClientDirectory): number[] {
  const start = path.basename(catalogPath) + KEPT_SUFFIX;
  return files
    .list(directory)
    .filter((name) => name.startsWith(start) && /^[1-9]\d{0,14}$/.test(name.slice(start.length)))
    .map((name) => Number(name.slice(start.length)))
    .sort((a, b) => a - b);
}

function pathOf({ catalogPath }: ClientDirectory, number: number): string {
  return `${catalogPath}${KEPT_SUFFIX}${number}`;
}

function worthOf(system: System, catalogPath: string): Worth {
  try {
    return Catalog.reading(system, catalogPath, ({ sets, entryCounts }) => ({
      sets: sets.listed().filter(({ state }) => state === 'complete').length,
      versions: entryCounts.between(0, Number.MAX_SAFE_INTEGER).all,
    }));
  } catch (error) {
    const { code } = asTardisError(error);
    if (code === 'CATALOG_DAMAGED' || code === 'CATALOG_NEWER') return UNREADABLE;
    throw error;
  }
}

/**
 * True if `one` is more complete than `other`. If both are equally complete, it is false: the older one is kept, since
 * it was not made from less data.
 */
function isMore(one: Worth, other: Worth): boolean {
  return one.sets === other.sets ? one.versions > other.versions : one.sets > other.sets;
}
