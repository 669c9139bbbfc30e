/**
 * Makes a copy of the catalog in a bucket, so that a machine without a catalog need not read all commits. The next
 * commit of the session names the copy; the session's claim ensures that no other session creates that commit. A copy
 * is optional, and no session fails because of it.
 */
import { asTardisError, type TardisError } from '../../errors/index.js';
import {
  type ClientDirectory,
  SNAPSHOT_PIECE_BYTES,
  type SnapshotFacts,
  type SnapshotObjects,
  snapshotPieces,
  snapshotsOf,
} from '../index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import { comparePages, pagesDamaged } from '../catalog/index.js';
import { packPiece, pieceOf } from './snapshot-pieces.js';
import type { StoreWriter } from './store-writer.js';

/** Minimum size of a catalog that gets copies: about 6,000 entries. The commits of a smaller one are read quickly. */
const LEAST_BYTES = 512 << 10;
/** Number of commits after which a new copy is made. */
const MOST_COMMITS = 64;
/** A new copy is made if the size of the catalog has changed by more than 1/GROWN_PARTS. */
const GROWN_PARTS = 20;
/** Minimum size (about 5 million entries) of a catalog for which LARGE_GROWN_PARTS is used instead of GROWN_PARTS. */
const LARGE_BYTES = 512 << 20;
const LARGE_GROWN_PARTS = 50;
/** Maximum number of pieces that are sent at once. */
const MOST_SENDING = 2;
const ID_BYTES = 8;

/**
 * Makes a copy if enough has changed since the newest copy, or if that copy is lost. Call it at the end of a session,
 * after its last checkpoint. Returns the error if the copy fails. Everything else that the session stored is durable
 * even then.
 */
export async function makeSnapshot(
  system: System,
  directory: ClientDirectory,
  store: StoreWriter,
  { isLost = false }: { readonly isLost?: boolean } = {},
): Promise<TardisError | undefined> {
  const snapshots = snapshotsOf(store.backend);
  if (snapshots === undefined || !isDue(store, isLost)) return undefined;
  try {
    const before = store.catalog.state.readSnapshot();
    const facts = await send(system, directory, store, snapshots);
    if (facts === undefined) return undefined;
    store.writeEvent({ type: 'snapshot', ...facts });
    await store.checkpoint();
    await snapshots.removeBefore(before.commit);
    return undefined;
  } catch (error) {
    return asTardisError(error, 'copying the catalog to the bucket');
  }
}

function isDue({ catalog, commitPoint, isWhole, packs }: StoreWriter, isLost: boolean): boolean {
  if (!isWhole || packs.uncommittedBytes > 0) return false;
  if (catalog.state.readCommitPoint().commit !== commitPoint.commit) return false;
  const { usedBytes } = catalog;
  if (usedBytes < LEAST_BYTES) return false;
  const last = catalog.state.readSnapshot();
  const parts = usedBytes < LARGE_BYTES ? GROWN_PARTS : LARGE_GROWN_PARTS;
  return (
    isLost ||
    last.commit === 0 ||
    commitPoint.commit - last.commit >= MOST_COMMITS ||
    Math.abs(usedBytes - last.usedBytes) * parts > last.usedBytes
  );
}

/**
 * Sends the catalog's file to the bucket, and returns the facts about the copy. Returns undefined if a reader keeps a
 * part of the catalog in its log, or if the file is too large. Throws CATALOG_DAMAGED, and errors of a bucket.
 */
async function send(
  system: System,
  { catalogPath }: ClientDirectory,
  { catalog, commitPoint: { commit } }: StoreWriter,
  snapshots: SnapshotObjects,
): Promise<SnapshotFacts | undefined> {
  const { files, random } = system;
  catalog.rollback(); // nothing has changed since the checkpoint, and a transaction prevents folding
  try {
    if (!catalog.foldLog()) return undefined;
    const verdict = await comparePages(system, catalogPath, true);
    if (verdict.kind === 'damaged') throw pagesDamaged(catalogPath, verdict.pages);
    if (verdict.kind !== 'right') return undefined;
    const sizeBytes = files.status(catalogPath)!.sizeBytes;
    const count = snapshotPieces(sizeBytes);
    if (count === undefined) return undefined;
    const place = { commit, id: random.bytes(ID_BYTES).toString('hex') };
    const breathe = yieldRegularly();
    const pieces: Buffer[] = [];
    const fd = files.open(catalogPath, 'read');
    const file = { fd, fileBytes: sizeBytes, pieceBytes: SNAPSHOT_PIECE_BYTES };
    try {
      for (let index = 0; index < count; index += MOST_SENDING) {
        const some = Array.from({ length: Math.min(MOST_SENDING, count - index) }, async (_, n) => {
          const bytes = await packPiece(files, pieceOf(file, index + n), breathe);
          return snapshots.create(place, index + n, bytes);
        });
        pieces.push(...(await settled(some)));
      }
    } finally {
      files.close(fd);
    }
    return { ...place, sizeBytes, usedBytes: catalog.usedBytes, pieces };
  } finally {
    catalog.begin();
  }
}

/** Waits until all promises have settled, and returns their results. Throws the first error. */
async function settled<T>(works: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}
