/** The source client of a copy: its key record, and snapshots of its catalog with the records that they refer to. */
import { createHash } from 'node:crypto';
import {
  Catalog,
  commitsBehind,
  isUnusedClient,
  snapshotCatalog,
} from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { NO_BYTES, type SetNumber } from '../../model/index.js';
import {
  type ClientDirectory,
  type ClientLock,
  hasEncryptingKeys,
  lockClient,
  mediumOf,
  newestKeys,
  openClientDirectory,
  readFormat,
} from '../../store/index.js';
import { catchUp, packPiece, pieceOf } from '../../store/writer/index.js';
import { PrivateFolder, type System, yieldRegularly } from '../../system/index.js';
import { requireSoundUnlocked } from '../gc/index.js';
import { pointAt, pointText } from './copy-known.js';
import type { ClientPlace } from './copy-target.js';
import { OldGeneration, type OldStore } from './old-generation.js';

export interface CopySource {
  /** True if the client encrypts, so that no digest can be checked. */
  readonly isEncrypting: boolean;
  /**
   * Returns the newest key record; undefined if the client has no password. Throws KEYS_DAMAGED if the record is
   * damaged, KEYS_LOST if it is lost.
   */
  keys(): Buffer | undefined;
  /**
   * Returns the news of the source: there is no backup (`none`), its state is still `since` (`nothing new`), or there
   * is something to copy (`some`).
   */
  news(since: { readonly clientId: string; readonly point: string } | undefined): Promise<News>;
  /**
   * Writes a snapshot of the catalog into the folder. `isAgain` is true if records were moved since an earlier
   * snapshot. The caller closes the store. Throws CATALOG_DAMAGED if the catalog is damaged, CLIENT_BUSY if it keeps
   * changing or its keys were changed, and TEMPORARY_FULL if there is no space for the snapshot.
   */
  take(folder: PrivateFolder, isAgain: boolean): Promise<TakenSource>;
  /** Returns the error to report for an error that occurred while this source was copied. */
  explain(error: unknown): unknown;
}

export type News = 'none' | 'nothing new' | 'some';

/** A snapshot of a source. */
export interface TakenSource {
  readonly old: OldStore;
  /** The id in the source's `format.json`. */
  readonly clientId: string;
  /** Number of the last set up to which all sets have ended, so that no session still writes to one of them. */
  readonly endedUpTo: SetNumber;
  /** State of the source at the snapshot (`pointText`). */
  readonly point: string;
  /** True if the source has changed since the snapshot, so that records may have been moved. */
  isStale(): Promise<boolean>;
}

/** The state of a client at a snapshot of its catalog. */
export interface SnapshotFacts {
  readonly clientId: string;
  readonly endedUpTo: SetNumber;
  /** Number of the last commit in the snapshot. */
  readonly commit: number;
  /** State of the client (`pointText`); empty if there is no backup yet. */
  readonly point: string;
}

/**
 * Returns the facts of a client for which no snapshot is needed: it has no backup, or its state is still `known` (empty
 * if no state is known). Returns undefined for all other clients.
 */
export function factsWithoutSnapshot(
  system: System,
  directory: ClientDirectory,
  known: string,
): SnapshotFacts | undefined {
  const isUnused = isUnusedClient(system, directory.catalogPath);
  if (!isUnused && (known === '' || pointAt(system, directory) !== known)) return undefined;
  const clientId = readFormat(system.files, directory.path)?.clientId ?? '';
  return { clientId, endedUpTo: 0, commit: 0, point: isUnused ? '' : known };
}

/** Returns the checksum by which source and target compare a key record; empty for a client that has none. */
export function keysSumOf(record: Uint8Array | undefined): Buffer {
  if (record === undefined) return NO_BYTES;
  return createHash('sha256').update(record).digest();
}

/** Returns the checksum of a client's newest key record (`keysSumOf`). Throws the errors of `newestKeys`. */
export function keysSumAt(system: System, { path }: Pick<ClientDirectory, 'path'>): Buffer {
  return keysSumOf(newestKeys(system, path)?.bytes);
}

const SNAPSHOT_FILE = 'copy.db';

/**
 * Returns a client in a directory or a bucket as the source of a copy. Throws NO_SUCH_STORE, NO_SUCH_CLIENT, and other
 * errors of opening.
 */
export function localSource(system: System, place: ClientPlace): CopySource {
  const directory = openClientDirectory(system, place);
  const { catalogPath } = directory;
  const keys = newestKeys(system, directory.path)?.bytes;
  const isEncrypting = hasEncryptingKeys(system, directory.path); // after the record, which `take` compares
  const take: CopySource['take'] = async (folder, isAgain) => {
    if (isAgain && directory.bucket !== undefined) await catchUp(system, directory);
    const file = folder.file(SNAPSHOT_FILE);
    const { clientId, endedUpTo, point } = await takeSnapshot(system, directory, file);
    // The copy has the keys of its start, which open nothing of a generation that has replaced the one of then.
    if (!keysSumAt(system, directory).equals(keysSumOf(keys))) {
      const what = `the keys of "${directory.client}" were changed while it was copied`;
      throw new TardisError('CLIENT_BUSY', what);
    }
    const old = new OldGeneration(system, directory, undefined, file);
    const isStale = async (): Promise<boolean> => {
      if (!old.isCurrent) return true;
      const { commit } = old.catalog.state.readCommitPoint();
      return Catalog.lastCommit(system, catalogPath).commit !== commit;
    };
    return { old, clientId, endedUpTo, point, isStale };
  };
  return {
    isEncrypting,
    keys: () => keys,
    news: async (since) => {
      if (isUnusedClient(system, catalogPath)) return 'none';
      const facts = since && factsWithoutSnapshot(system, directory, since.point);
      return facts !== undefined && facts.clientId === since?.clientId ? 'nothing new' : 'some';
    },
    take,
    explain: (error) => Catalog.explainedAt(system, catalogPath, error),
  };
}

/**
 * Copies the catalog of a client to a new file, which must not exist, in a folder that belongs to the caller alone.
 * Throws CATALOG_DAMAGED if the catalog is damaged or older than its packs, since damage must not be copied; DISK_FULL if the disk of the file
 * is full; and CLIENT_BUSY if the catalog keeps changing.
 */
export async function takeSnapshot(
  system: System,
  source: ClientDirectory,
  file: string,
): Promise<SnapshotFacts> {
  await requireSoundUnlocked(system, source, yieldRegularly());
  const endedUpTo = newestEnded(system, source);
  snapshotCatalog(system, source.catalogPath, file);
  const clientId = readFormat(system.files, source.path)?.clientId ?? '';
  using copy = Catalog.openForReading(system, file);
  using packs = mediumOf(system, source).records();
  const commits = await commitsBehind(system, source, packs, copy.state);
  const what = `the catalog is older than the packs (checkpoints it lacks: ${commits})`;
  if (commits > 0) throw new TardisError('CATALOG_DAMAGED', what);
  const point = copy.state.readCommitPoint();
  return { clientId, endedUpTo, commit: point.commit, point: pointText(point) };
}

/** Size of each piece of an offered catalog, except the last one. */
export const OFFER_PIECE_BYTES: number = 4 << 20;

/** A snapshot of a catalog in a temporary file, of which another machine fetches the pieces. */
export class OfferedCatalog {
  /** Size of the snapshot. */
  readonly fileBytes: number;
  /** Number of its pieces. */
  readonly pieces: number;
  private readonly fd: number;

  private constructor(
    private readonly system: System,
    private readonly folder: PrivateFolder,
  ) {
    const file = folder.file(SNAPSHOT_FILE);
    this.fileBytes = system.files.status(file)?.sizeBytes ?? 0;
    this.pieces = Math.ceil(this.fileBytes / OFFER_PIECE_BYTES);
    this.fd = system.files.open(file, 'read');
  }

  /**
   * Returns what `take` returns, which writes the snapshot to a file, and the snapshot. Throws its errors, and
   * TEMPORARY_FULL.
   */
  static async taken<T>(
    system: System,
    take: (file: string) => Promise<T>,
  ): Promise<{ facts: T; catalog: OfferedCatalog }> {
    const folder = new PrivateFolder(system);
    try {
      const facts = await take(folder.file(SNAPSHOT_FILE));
      return { facts, catalog: new OfferedCatalog(system, folder) };
    } catch (error) {
      folder.remove();
      throw folder.explain(error);
    }
  }

  /** Reads and compresses a piece. */
  piece(index: number): Promise<Buffer> {
    const { system, fd, fileBytes } = this;
    const place = pieceOf({ fd, fileBytes, pieceBytes: OFFER_PIECE_BYTES }, index);
    return packPiece(system.files, place, yieldRegularly());
  }

  close(): void {
    this.system.files.close(this.fd);
    this.folder.remove();
  }
}

/**
 * Returns the number of the newest set if no session has the source open, since later sessions never continue a set.
 * Returns 0 if the source is in use, or if it cannot be locked because it is not writable.
 */
function newestEnded(system: System, source: ClientDirectory): SetNumber {
  let lock: ClientLock;
  try {
    lock = lockClient(system, source);
  } catch (error) {
    if (error instanceof TardisError && LOCK_REFUSED.has(error.code)) return 0;
    throw error;
  }
  try {
    return Catalog.reading(system, source.catalogPath, ({ sets }) => sets.all().at(-1)?.set ?? 0);
  } finally {
    lock.release();
  }
}

const LOCK_REFUSED: ReadonlySet<string> = new Set([
  'CLIENT_BUSY',
  'STORE_NOT_WRITABLE',
  'STORE_NOT_READABLE',
  'CACHE_NOT_WRITABLE',
]);
