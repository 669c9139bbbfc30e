/** Measures the space that no listed set needs, and the space that only sets before the newest complete one need. */
import type { PackNumber } from '../../model/index.js';
import path from 'node:path';
import { addRests, type Catalog, type IdSet, measureRecords } from '../../store/catalog/index.js';
import {
  type ClientDirectory,
  isOfLog,
  NO_PACK,
  objectName,
  packName,
  packNumber,
  PACKS_PREFIX,
  RecordKind,
} from '../../store/index.js';
import type { Files } from '../../system/index.js';

/** Contents that listed sets show, with all contents that these depend on. */
interface ShownContents {
  readonly all: IdSet;
  /** Contents of the newest complete set and of later sets. */
  readonly recent: IdSet;
}

interface DeadSpace {
  /** Maximum number of bytes that garbage collection can free. */
  readonly deadBytes: number;
  /**
   * Number of bytes that garbage collection would free in addition if all sets before the newest complete one were
   * deleted.
   */
  readonly olderBytes: number;
}

/** Adds the contents that shown contents depend on: parts, and bases of deltas. */
export function completeShown({ gc }: Catalog, shown: ShownContents): void {
  const needs = [...gc.needs()];
  addRests(needs, shown.all);
  addRests(needs, shown.recent);
}

type Breathe = () => Promise<void> | undefined;

export async function measureDeadSpace(
  catalog: Catalog,
  {
    directory,
    files,
    shown,
    breathe,
  }: {
    readonly directory: ClientDirectory;
    readonly files: Files;
    readonly shown: ShownContents;
    readonly breathe: Breathe;
  },
): Promise<DeadSpace> {
  const usedByAll = await measureRecords(catalog, breathe, shown.all);
  const usedByRecent = await measureRecords(catalog, breathe, shown.recent);
  /** Bytes of the records in each pack, and how many of them are needed. */
  const records = new Map<PackNumber, { bytes: number; needed: number }>();
  let olderBytes = 0;
  for (const page of catalog.gc.records()) {
    for (const [recordId, kind, pack, , bytes, rawBytes] of page) {
      const shareOf = (used: number | undefined): number => {
        if (used === undefined) return 0;
        return kind === RecordKind.frame ? Math.min(1, used / Math.max(1, rawBytes)) : 1;
      };
      const needed = bytes * shareOf(usedByAll.get(recordId));
      olderBytes += needed - bytes * shareOf(usedByRecent.get(recordId));
      const known = records.get(pack) ?? { bytes: 0, needed: 0 };
      records.set(pack, { bytes: known.bytes + bytes, needed: known.needed + needed });
    }
    await breathe();
  }
  const lost = lostIn(catalog, directory, files, records);
  return { deadBytes: Math.round(lost), olderBytes: Math.round(olderBytes) };
}

/**
 * Returns the number of unneeded bytes: in records, in packs outside of records, and in files that are removed but not
 * deleted yet. Pack bytes outside of records count only if it is known how many of them are metadata.
 */
function lostIn(
  { gc, state }: Catalog,
  { path: root, bucket }: ClientDirectory,
  files: Files,
  records: ReadonlyMap<PackNumber, { readonly bytes: number; readonly needed: number }>,
): number {
  const sizeOf = (name: string): number => files.status(path.join(root, name))?.sizeBytes ?? 0;
  const image = state.readImage();
  const { pack: lastPack } = state.readCommitPoint();
  let lost = 0;
  // The packs of a bucket are not here; nothing is freed in its log.
  const counts = (pack: PackNumber): boolean =>
    pack === NO_PACK || (bucket !== undefined && !isOfLog(pack));
  for (const [pack, { bytes, needed }] of records) if (counts(pack)) lost += bytes - needed;
  const removed = new Set(gc.removedPacks());
  for (const pack of packsIn(files, root)) {
    if (pack > lastPack) continue; // a running session is writing this pack
    const sizeBytes = sizeOf(packName(pack));
    const { bytes, needed } = records.get(pack) ?? { bytes: 0, needed: 0 };
    const metadataBytes = pack < image.pack ? 0 : gc.metadataBytes(pack);
    if (removed.has(pack)) lost += sizeBytes;
    else if (metadataBytes === undefined || pack === lastPack) lost += bytes - needed;
    else lost += Math.max(0, sizeBytes - metadataBytes - needed);
  }
  for (const digest of gc.removedObjects()) {
    if (!gc.isObject(digest)) lost += sizeOf(objectName(digest));
  }
  return lost;
}

function packsIn(files: Files, root: string): PackNumber[] {
  const folder = path.join(root, PACKS_PREFIX);
  if (files.status(folder) === undefined) return [];
  return files.list(folder).flatMap((name) => packNumber(PACKS_PREFIX + name) ?? []);
}
