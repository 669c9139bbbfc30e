/** Fills holes in the packs from the old catalog, if it is sound and belongs to the same history as the packs. */
import {
  Catalog,
  comparePages,
  type CommitPoint,
  KnownHistory,
  type RecoveryReport,
} from '../catalog/index.js';
import { asTardisError } from '../../errors/index.js';
import {
  type Backend,
  type ClientDirectory,
  mediumOf,
  packName,
  readCommit,
  readRecord,
  recordBytes,
  RecordKind,
  scanPack,
} from '../index.js';
import type { System } from '../../system/index.js';

/** The old catalog as a history. */
export interface FoundHistory {
  readonly history: KnownHistory;
  /**
   * Commit point of the history. If the pack of this commit is truncated, the point is at the end of that pack. The
   * catalog may then contain later data.
   */
  readonly point: CommitPoint;
  /** Number of versions in the history that the packs contradict. */
  readonly contradictions: number;
}

/** A catalog that was rebuilt from the packs alone, and its recovery report. */
interface PackReplay {
  readonly catalogPath: string;
  readonly report: RecoveryReport;
}

/**
 * Returns the old catalog as a history if it is sound and fits the packs; otherwise undefined. The caller closes it.
 * Throws DISK_FULL.
 */
export async function findHistory(
  system: System,
  { catalogPath }: ClientDirectory,
  backend: Backend,
  fromPacks: PackReplay,
): Promise<FoundHistory | undefined> {
  if (system.files.status(catalogPath) === undefined) return undefined;
  if ((await comparePages(system, catalogPath, false)).kind === 'damaged') return undefined;
  let history: KnownHistory | undefined;
  try {
    history = KnownHistory.open(system, catalogPath);
    const contradictions = (await isOfPacks(history, backend, fromPacks.report))
      ? history.contradictionsTo(fromPacks.catalogPath)
      : undefined;
    if (contradictions !== undefined) {
      const point = await clipped(history.point, backend);
      return { history, point, contradictions };
    }
  } catch (error) {
    history?.close();
    requireDamage(error);
    return undefined;
  }
  history.close();
  return undefined;
}

/** True if a catalog ends at a commit that is in the packs, or after all commits of the packs. */
async function isOfPacks(
  { point, counters }: KnownHistory,
  backend: Backend,
  { point: end, imageCommit, counters: fromPacks }: RecoveryReport,
): Promise<boolean> {
  // Listings and events between the catalog's end and an image may be gone.
  if (point.commit === 0 || imageCommit > point.commit) return false;
  if (point.commit < end.commit) return hasCommit(backend, point);
  // An abandoned history may have as many commits, but not as high numbers of everything.
  const names = ['set', 'root', 'directory', 'sequence'] as const;
  if (names.some((name) => fromPacks[name] > counters[name])) return false;
  if (point.commit > end.commit) return isBehind(point, end);
  return (
    point.pack === end.pack && point.position === end.position && point.checksum === end.checksum
  );
}

/**
 * Returns the pack with the last commit of the catalog. That pack certainly belongs to the client. Returns undefined if
 * the catalog is of no use. Throws CATALOG_NEWER.
 */
export async function packOfCatalog(
  system: System,
  directory: ClientDirectory,
): Promise<number | undefined> {
  const { catalogPath } = directory;
  using backend = mediumOf(system, directory).records();
  try {
    if (system.files.status(catalogPath) === undefined) return undefined;
    const point = Catalog.reading(system, catalogPath, ({ state }) => state.readCommitPoint());
    return point.commit > 0 && (await hasCommit(backend, point)) ? point.pack : undefined;
  } catch (error) {
    if (asTardisError(error).code === 'CATALOG_NEWER') throw error;
    return undefined; // the rebuild works without the catalog
  }
}

function isBehind(one: CommitPoint, other: CommitPoint): boolean {
  return one.pack === other.pack ? one.position > other.position : one.pack > other.pack;
}

/** True if the commit record of a point is in the packs and ends at its position. Throws RECORD_DAMAGED. */
export async function hasCommit(
  backend: Backend,
  { commit, pack, position, checksum }: CommitPoint,
): Promise<boolean> {
  if ((await backend.size(packName(pack))) === undefined) return false;
  for await (const { header, position: at } of scanPack(backend, pack, 0, true)) {
    const bytes = recordBytes(header);
    if (at + bytes !== position || header.kind !== RecordKind.commit) continue;
    if (header.bodyChecksum !== checksum) return false;
    return readCommit(await readRecord(backend, packName(pack), at, bytes)).commit === commit;
  }
  return false;
}

/** Returns the point, whose position is limited to the size of its pack. */
async function clipped(point: CommitPoint, backend: Backend): Promise<CommitPoint> {
  const sizeBytes = (await backend.size(packName(point.pack))) ?? 0;
  return { ...point, position: Math.min(point.position, sizeBytes) };
}

/** Throws the error, unless it reports a damaged catalog. */
function requireDamage(error: unknown): void {
  const { code } = asTardisError(error);
  if (code !== 'CATALOG_DAMAGED' && code !== 'RECORD_DAMAGED') throw error;
}
