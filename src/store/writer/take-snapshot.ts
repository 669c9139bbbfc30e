/**
 * Makes a missing catalog of this machine from a copy in the bucket. Anyone with the access key may have written the
 * copy. So it is used only if the log names it and it fits the log; otherwise all commits are read.
 */
import path from 'node:path';
import { recordDamaged } from '../../errors/index.js';
import {
  type Backend,
  type ClientDirectory,
  logPack,
  type NamedSnapshot,
  SNAPSHOT_PIECE_BYTES,
  type SnapshotObjects,
  snapshotPieces,
  snapshotsOf,
} from '../index.js';
import { type Files, OpenFd, type System } from '../../system/index.js';
import { removeDatabase, requireFitting } from '../catalog/index.js';
import { replaceCatalog } from './replace-catalog.js';
import { fetchPieces, MAX_STORED_BYTES } from './snapshot-pieces.js';

/** Maximum number of copies that are tried, the newest first. */
const MOST_TRIED = 3;
/** File in the client's directory that contains the fetched copy until it becomes the catalog. */
const FETCHED_FILE = 'catalog.fetched';

/**
 * Replaces the catalog, which is empty and not open, by the newest usable copy. Returns false if there is no such copy;
 * the catalog may then be missing. Call with the claim held. Never throws, since all data is also in the log, and
 * reading the log reports the error.
 */
export async function takeSnapshot(
  system: System,
  directory: ClientDirectory,
  backend: Backend,
): Promise<boolean> {
  const snapshots = snapshotsOf(backend);
  if (snapshots === undefined) return false;
  try {
    if (!(await snapshots.mayExist())) return false;
    const stored = (await snapshots.stored()) ?? [];
    for (const { place } of stored.slice(0, MOST_TRIED)) {
      if (await isTaken(system, directory, snapshots, () => snapshots.named(place))) return true;
    }
  } catch {
    // Without a list of copies, or without space for a copy, the log is read.
  }
  return false;
}

/** Fetches a copy, and replaces the catalog by it. Returns false if the copy cannot be used. */
async function isTaken(
  system: System,
  { path: home, catalogPath }: ClientDirectory,
  snapshots: SnapshotObjects,
  find: () => Promise<NamedSnapshot | undefined>,
): Promise<boolean> {
  const fresh = path.join(home, FETCHED_FILE);
  try {
    removeDatabase(system, fresh);
    const named = await find();
    if (named === undefined) return false;
    const { facts, body } = named;
    const [position] = await Promise.all([
      snapshots.commitBytes(facts.commit),
      fetch(system.files, snapshots, named, fresh),
    ]);
    if (position === undefined) return false;
    const { commit } = facts;
    const point = { commit, pack: logPack(commit), position, checksum: body.previous };
    requireFitting(system, fresh, { empty: catalogPath, point, counters: body.counters });
    await replaceCatalog(system, fresh, catalogPath, undefined);
    return true;
  } catch {
    return false; // it is damaged, was removed meanwhile, or does not fit: an older copy or the log is read
  } finally {
    removeDatabase(system, fresh);
  }
}

/** Writes all pieces of a copy to a new file. Throws OBJECT_DAMAGED, RECORD_DAMAGED, and errors of a bucket. */
async function fetch(
  files: Files,
  snapshots: SnapshotObjects,
  { facts }: NamedSnapshot,
  target: string,
): Promise<void> {
  if (snapshotPieces(facts.sizeBytes) === undefined || facts.sizeBytes === 0) {
    throw recordDamaged('a copy of the catalog has no possible size');
  }
  using opened = new OpenFd(files, files.open(target, 'create'));
  const file = { fd: opened.fd, fileBytes: facts.sizeBytes, pieceBytes: SNAPSHOT_PIECE_BYTES };
  await fetchPieces(files, file, (index) => snapshots.read(facts, index, MAX_STORED_BYTES));
  await files.sync(opened.fd);
}
