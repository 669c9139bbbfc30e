/** Measures the needed part of each pack, and the bytes that a rewrite of the pack would write and free. */
import { type PackNumber, type RecordId } from '../../model/index.js';
import { hasLog, missingIn, type RecordUse } from '../../store/catalog/index.js';
import {
  type Backend,
  findInnerParity,
  listPacks,
  packName,
  recordBytes,
  RecordKind,
  scanPack,
} from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { Breathe } from './survey.js';

/** Share of needed bytes below which a frame is repacked. */
const WORTH_REPACKING = 0.75;

/** Needed and unneeded parts of one pack. */
export interface PackUse {
  readonly pack: PackNumber;
  /** Size of the pack's file in bytes. */
  sizeBytes: number;
  /** Bytes of needed contents, which must be written elsewhere before the pack can be removed. */
  neededBytes: number;
  /**
   * Bytes of listings, events, images and commits that are needed until the next image; 0 before the newest
   * image.
   */
  metadataBytes: number;
  /** Records with needed contents. */
  records: RecordUse[];
}

interface MeasureOptions {
  /** True if frames can be repacked from a part of their contents. */
  readonly opensFrames: boolean;
  /** Minimum share of unneeded bytes for which a pack is rewritten. */
  readonly wasteRatio: number;
  readonly breathe: Breathe;
}

/** Returns the packs that may be rewritten: those that no session writes to, and that no recovery needs any more. */
export async function measurePacks(
  store: StoreWriter,
  used: ReadonlyMap<RecordId, number>,
  { opensFrames, wasteRatio, breathe }: MeasureOptions,
): Promise<PackUse[]> {
  const { gc } = store.catalog;
  const uses = await emptyUses(store);
  for (const page of gc.records()) {
    for (const record of page) {
      const use = uses.get(record[2]);
      if (use === undefined || !used.has(record[0])) continue;
      use.neededBytes += neededOf(record, used, opensFrames);
      use.records.push(record);
    }
    await breathe();
  }
  const image = store.catalog.state.readImage();
  for (const use of uses.values()) {
    // In a shared store, packs with listings are never removed.
    if (use.pack >= image.pack && !store.isShared)
      use.metadataBytes = await metadataIn(store, use.pack, breathe);
  }
  if (store.isShared) await leaveOutParity(store.backend, uses.values(), wasteRatio, breathe);
  if (store.catalog.history.brokenVersions === 0) return [...uses.values()];
  const free: PackUse[] = [];
  for (const use of uses.values()) {
    const isDead = use.neededBytes === 0;
    if (!isDead || !(await holdsMissing(store, use.pack, breathe))) free.push(use);
  }
  return free;
}

/**
 * Subtracts the parity in packs from their sizes, since a rewrite would make as much again. Examines only packs that
 * would otherwise be rewritten. Packs without needed contents are deleted in any case.
 */
async function leaveOutParity(
  backend: Backend,
  uses: Iterable<PackUse>,
  wasteRatio: number,
  breathe: Breathe,
): Promise<void> {
  for (const use of uses) {
    if (use.neededBytes === 0 || wastedBytes(use) < wasteRatio * use.sizeBytes) continue;
    await breathe();
    const found = await findInnerParity(backend, packName(use.pack), false);
    if (found !== undefined) use.sizeBytes = Math.min(use.sizeBytes, found.coveredBytes);
  }
}

/**
 * True if a pack contains contents that the store lacks, so that it was lost and somebody has put it back. Such a pack
 * is kept for a rebuild.
 */
export async function holdsMissing(
  { backend, catalog }: StoreWriter,
  pack: PackNumber,
  breathe: Breathe,
): Promise<boolean> {
  const records = missingIn(catalog, backend, pack, breathe);
  const first = await records.next();
  await records.return(undefined);
  return first.done !== true;
}

async function emptyUses({
  backend,
  catalog,
  commitPoint,
  firstOwnPack,
}: StoreWriter): Promise<Map<PackNumber, PackUse>> {
  const kept = new Set([
    ...catalog.gc.removedPacks(),
    ...catalog.gc.damagedPacks(), // a rebuild may find that their contents are sound
    commitPoint.pack,
  ]);
  const uses = new Map<PackNumber, PackUse>();
  for await (const [pack, sizeBytes] of sizesOf(backend)) {
    if (kept.has(pack) || pack >= firstOwnPack) continue;
    uses.set(pack, { pack, sizeBytes, neededBytes: 0, metadataBytes: 0, records: [] });
  }
  return uses;
}

/** Yields the packs that may be removed, with their sizes. */
async function* sizesOf(backend: Backend): AsyncGenerator<readonly [PackNumber, number]> {
  if (hasLog(backend)) {
    yield* await backend.removablePacks();
    return;
  }
  for (const pack of await listPacks(backend)) {
    yield [pack, (await backend.size(packName(pack))) ?? 0];
  }
}

/** Returns the number of bytes of a record that a rewrite of its pack must write. */
export function neededOf(
  [recordId, kind, , , bytes, rawBytes]: Readonly<RecordUse>,
  used: ReadonlyMap<RecordId, number>,
  opensFrames: boolean,
): number {
  const usedBytes = used.get(recordId);
  if (usedBytes === undefined) return 0;
  if (kind !== RecordKind.frame || !opensFrames) return bytes;
  return isWorthRepacking(usedBytes, rawBytes) ? bytes * (usedBytes / rawBytes) : bytes;
}

export function isWorthRepacking(usedBytes: number, rawBytes: number): boolean {
  return usedBytes < WORTH_REPACKING * rawBytes;
}

/** Returns the number of bytes of listings, events, images and commits in a pack, and stores it in the catalog. */
async function metadataIn(
  { backend, catalog }: StoreWriter,
  pack: PackNumber,
  breathe: Breathe,
): Promise<number> {
  const known = catalog.gc.metadataBytes(pack);
  if (known !== undefined) return known;
  let bytes = 0;
  for await (const { header } of scanPack(backend, pack, 0)) {
    if (header.sequence > 0) bytes += recordBytes(header);
    await breathe();
  }
  catalog.gc.putMetadataBytes(pack, bytes);
  return bytes;
}

/** Returns the bytes of a pack that a rewrite frees. */
export function wastedBytes({ sizeBytes, neededBytes, metadataBytes }: PackUse): number {
  return sizeBytes - neededBytes - metadataBytes;
}

/** Orders packs by the bytes freed for each byte written; packs that need no write are first. */
export function byYield(one: PackUse, other: PackUse): number {
  const difference = yieldOf(other) - yieldOf(one);
  return difference === 0 || Number.isNaN(difference) ? one.pack - other.pack : difference;
}

function yieldOf({ sizeBytes, neededBytes }: PackUse): number {
  return neededBytes === 0 ? Infinity : sizeBytes / neededBytes;
}
