/**
 * The writer: one client's store opened for writing, with its lock, packs, catalog, and the checkpoint that joins them
 * (see ARCHITECTURE.md). A checkpoint makes the appended data durable, then a commit record that covers it. Then it
 * commits the catalog's transaction. So the catalog never contains more than the medium.
 */
import type { ContentId, PackNumber } from '../../model/index.js';
import {
  applyContentRecord,
  applyEvent,
  type Catalog,
  type CommitPoint,
  hasLog,
} from '../catalog/index.js';
import { asTardisError, isDiskFull, cleanUp } from '../../errors/index.js';
import {
  type Backend,
  buildCommit,
  buildEvent,
  type ClientDirectory,
  type ClientLock,
  type Counters,
  type Covered,
  type Location,
  mediumOf,
  mendAllKeys,
  parseRecord,
  stagedPieces,
  RecordKind,
  type RecordWriter,
  type StoreEvent,
} from '../index.js';
import type { NativeCalls, System } from '../../system/index.js';
import { isFollowed } from './catch-up.js';
import { ParityWriter, type ParityLimits } from './parity-writer.js';
import { openParts, type PartsLimits } from './open-parts.js';
import { Reserve, type ReserveLimits } from './reserve.js';
import {
  NOTHING_RECEIVED,
  type ReceivedSizes,
  reserveFor,
  type StoredSizes,
  storedSizes,
} from './reserve-size.js';
import type { SpaceMeter } from './space-meter.js';
import type { FinishedStream } from './streams.js';

export interface StoreLimits extends ReserveLimits, ParityLimits {
  /** Size in bytes at which a pack is closed. */
  readonly packBytes: number;
  /** Maximum stored size of a streamed content that is copied into a pack. A larger content becomes an object. */
  readonly packContentBytes: number;
  /** Bytes of memory for pages of the catalog. */
  readonly catalogCacheBytes?: number;
  /** False to refuse a catalog of an earlier version with CATALOG_OLDER and leave it unchanged. */
  readonly mayUpgrade?: boolean;
  /** False for work that can wait: it does not request the client's lock from the holder. */
  readonly requestsLock?: boolean;
}

/**
 * Size of the catalog's log at which it is folded into the catalog's file. It is folded earlier if it reaches
 * 1/FOLD_FREE_PART of the free space, since folding needs space too. A fold costs up to three fsyncs.
 */
const FOLD_LOG_BYTES = 48 << 20;
const FOLD_FREE_PART = 8;

/**
 * Space that a checkpoint needs for changed pages of the catalog that are still in memory: the usual size of
 * its cache.
 */
const USUAL_CACHE_BYTES = 6 << 20;
/** Space that a checkpoint needs for the records that precede the transaction. */
const RECORDS_BYTES = 2 << 20;

/** Number of bytes that a long job writes between two checkpoints. An interruption loses at most this much work. */
const CHECKPOINT_BYTES = 64 << 20;

/**
 * Returns the limits for a client. A client in a bucket has no reserve, since this machine's disk has only a copy of
 * its catalog and data not yet sent. It has no parity files, since the writer of its objects adds parity to them.
 */
function limitsOn({ bucket }: ClientDirectory, limits: StoreLimits): StoreLimits {
  return bucket === undefined ? limits : { ...limits, parityPercent: 0, reserveBytes: 0 };
}

/** Ids of contents by digest key. */
type ContentIds = ReadonlyMap<string, ContentId>;

interface AppendedContents {
  readonly location: Location;
  readonly ids: ContentIds;
}

export class StoreWriter {
  readonly catalog: Catalog;
  readonly packs: RecordWriter;
  readonly backend: Backend;
  readonly counters: { -readonly [K in keyof Counters]: number };
  readonly limits: StoreLimits;
  readonly native: NativeCalls;
  /** Counter of the account's space; only in a session whose account has a quota. */
  readonly space: SpaceMeter | undefined;
  readonly reserve: Reserve;
  /** Makes the parity of stored data. Call it after checkpoints. */
  readonly parity: ParityWriter;
  /** The lowest pack number that this writer may use. */
  readonly firstOwnPack: PackNumber;
  /** Numbers of files after the last commit that are not packs of this client. The writer ignores them. */
  readonly strangePacks: readonly PackNumber[];
  /** Number of entries changed since the store was opened. */
  entriesWritten = 0;
  private isAtOdds = false;
  private hasMendedKeys = false;
  private point: CommitPoint;
  private readonly logBytes: () => number;
  private readonly mendKeys: () => Promise<unknown>;
  private readonly measure: () => StoredSizes;
  /** Sizes of the store when the set began; undefined before. */
  private sizes: StoredSizes | undefined;
  private readonly lock: ClientLock;

  private constructor(parts: {
    lock: ClientLock;
    catalog: Catalog;
    backend: Backend;
    limits: StoreLimits;
    native: NativeCalls;
    counters: Counters;
    point: CommitPoint;
    lastPack: PackNumber;
    strangePacks: readonly PackNumber[];
    packs: RecordWriter;
    space: SpaceMeter | undefined;
    reserve: Reserve;
    parity: ParityWriter;
    logBytes: () => number;
    mendKeys: () => Promise<unknown>;
    measure: () => StoredSizes;
  }) {
    this.lock = parts.lock;
    this.catalog = parts.catalog;
    this.backend = parts.backend;
    this.limits = parts.limits;
    this.native = parts.native;
    this.space = parts.space;
    this.reserve = parts.reserve;
    this.parity = parts.parity;
    this.logBytes = parts.logBytes;
    this.mendKeys = parts.mendKeys;
    this.measure = parts.measure;
    this.counters = { ...parts.counters };
    this.point = parts.point;
    this.strangePacks = parts.strangePacks;
    this.firstOwnPack = parts.lastPack + 1;
    this.packs = parts.packs;
  }

  /**
   * Locks and opens the store, and applies commits that the catalog lacks after a crash. A transaction is open
   * afterwards. Throws CLIENT_BUSY, CATALOG_NEWER, CATALOG_DAMAGED, STORE_NOT_WRITABLE, DISK_FULL.
   */
  static async open(
    system: System,
    directory: ClientDirectory,
    given: StoreLimits,
    space?: SpaceMeter,
  ): Promise<StoreWriter> {
    const limits = limitsOn(directory, given);
    const { requestsLock = true } = limits;
    const medium = mediumOf(system, directory);
    const lock = await medium.claim({ requestsLock: requestsLock });
    const reserve = new Reserve(system, directory.path, limits);
    try {
      medium.clearStaged();
      const log = `${directory.catalogPath}-wal`;
      const logBytes = (): number => system.files.status(log)?.sizeBytes ?? 0;
      const mendKeys = (): Promise<unknown> => mendAllKeys(system, directory.path);
      const measure = (): StoredSizes => storedSizes(system, directory, limits.reserveBytes ?? 0);
      const freeBytes = (): number => (reserve.wasReleased ? 0 : reserve.freeBytes);
      const openAt = async (wanted: PartsLimits): Promise<StoreWriter> => {
        const opened = await openParts(system, directory, wanted).catch(async (error: unknown) => {
          if (!isDiskFull(reserve.explain(error)) || !reserve.release()) throw error;
          return openParts(system, directory, wanted);
        });
        const parity = new ParityWriter(system, opened.backend, limits, freeBytes);
        const services = { lock, limits, space, reserve, parity, logBytes, mendKeys, measure };
        return new StoreWriter({ ...services, native: system.native, ...opened }).claimed();
      };
      // The log is not read first: the claim itself shows if another machine has committed meanwhile, and usually none
      // has.
      return await openAt({ ...limits, assumesNewest: true }).catch((error: unknown) => {
        if (asTardisError(error).code !== 'STORE_TAKEN') throw error;
        return openAt(limits);
      });
    } catch (error) {
      const explained = reserve.explain(error);
      try {
        if (isDiskFull(explained)) reserve.restore();
      } finally {
        lock.release();
      }
      await isFollowed(system, directory, explained); // the next command finds the new generation
      throw explained;
    }
  }

  /**
   * Claims the store, if the medium requires a commit for this. The next checkpoint records that commit in the
   * catalog.
   */
  private async claimed(): Promise<this> {
    const commit = this.point.commit + 1;
    try {
      const end = await this.packs.claim((covered) => this.commitRecord(commit, covered));
      if (end !== undefined) this.point = { commit, ...end };
      return this;
    } catch (error) {
      this.closeParts();
      throw error;
    }
  }

  /** The last commit record that was written. */
  get commitPoint(): CommitPoint {
    return this.point;
  }

  /**
   * True if other machines have catalogs of this client, which follow its commits. A content in a pack then stays in
   * the catalog as long as the pack exists. Otherwise one machine could delete data that another one relies on.
   */
  get isShared(): boolean {
    return hasLog(this.backend);
  }

  /** True if a job that copies records should make them durable now. */
  get isCheckpointDue(): boolean {
    return this.packs.uncommittedBytes >= CHECKPOINT_BYTES;
  }

  nextSequence(): number {
    this.counters.sequence += 1;
    return this.counters.sequence;
  }

  /** True if the disk is full or nearly full, so that the reserve was released for writes that must not fail. */
  get isRunningOut(): boolean {
    return this.reserve.wasReleased;
  }

  /**
   * True if packs and catalog agree, so that a checkpoint may join them. False if one of the store's own records could
   * not be written, a checkpoint failed, or SQLite rolled back its transaction.
   */
  get isWhole(): boolean {
    return !this.isAtOdds && this.catalog.isInTransaction;
  }

  /** Checks the free space and makes the reserve before a set begins. Throws DISK_FULL. */
  requireReserve(received: ReceivedSizes): void {
    this.sizes = this.measure();
    this.reserve.require(reserveFor(this.sizes, received));
  }

  /**
   * Makes the reserve large enough for all that a session has received, including the message that is to be handled.
   * Throws DISK_FULL.
   */
  coverReserve(received: ReceivedSizes): void {
    if (this.sizes !== undefined) this.reserve.cover(reserveFor(this.sizes, received));
  }

  /**
   * Appends one of the store's own records (a listing or event). The catalog already contains its facts, so the record
   * must reach the packs and may use the reserve. Contents may not use it: they are appended to `packs` directly.
   */
  appendOwn(record: Buffer): Location {
    try {
      return this.withReserve(() => this.packs.append(record));
    } catch (error) {
      this.isAtOdds = true;
      throw error;
    }
  }

  /** Appends an event, which the caller applies to the catalog. */
  appendEvent(event: StoreEvent): void {
    this.appendOwn(buildEvent(this.nextSequence(), event));
  }

  /** Appends an event, and applies it to the catalog. */
  writeEvent(event: StoreEvent): void {
    this.appendEvent(event);
    applyEvent(this.catalog, event);
  }

  /** Raises the counters to those of a catalog that is copied, so that no number is assigned twice. */
  raiseCounters({ state }: Catalog): void {
    const { counters } = this;
    const known = state.readCounters();
    counters.set = Math.max(counters.set, known.set);
    counters.root = Math.max(counters.root, known.root);
    counters.directory = Math.max(counters.directory, known.directory);
  }

  /**
   * Appends a record in one piece, and adds its contents to the catalog. `moved`: packs whose contents the record
   * replaces. Returns its place, and the ids of its contents by digest key.
   */
  appendContents(record: Buffer, moved?: ReadonlySet<PackNumber>): AppendedContents {
    const { header, index, body } = parseRecord(record);
    const location = this.packs.append(record);
    const parts = { location, body, moved };
    return { location, ids: applyContentRecord(this.catalog, header, Buffer.from(index), parts) };
  }

  /** Stores a staged record of a content as `placeStaged` does, and adds the content to the catalog. Returns its id. */
  async placeContent(finished: FinishedStream): Promise<ContentIds> {
    const { header, index } = finished;
    const location = await this.placeStaged(finished);
    return applyContentRecord(this.catalog, header, index, { location });
  }

  /**
   * Stores a staged record and returns its place. A record of at most `packContentBytes` is copied into a pack. A
   * larger one becomes an object, named by the digest of its content. Signatures are always copied into packs, since
   * the object of their content already has that name.
   */
  async placeStaged({ writer, digest, header }: FinishedStream): Promise<Location> {
    const isSmall = writer.sizeBytes <= this.limits.packContentBytes;
    const isCopied = isSmall || header.kind === RecordKind.signature;
    const adopted = isCopied ? undefined : await this.packs.adoptNew(writer, digest);
    if (adopted !== undefined) return adopted;
    const location = await this.packs.appendStaged(stagedPieces(writer));
    writer.close();
    return location;
  }

  /**
   * Makes all data so far durable in the order that the comment of this file describes, and begins a new transaction.
   * If less space is free than a transaction may need, the reserve is released first.
   */
  async checkpoint(): Promise<void> {
    const { catalogCacheBytes = USUAL_CACHE_BYTES } = this.limits;
    const { freeBytes } = this.reserve;
    if (freeBytes < catalogCacheBytes + RECORDS_BYTES) this.reserve.release();
    this.isAtOdds = true; // stays true if the checkpoint fails, since it is not retried
    const commit = this.point.commit + 1;
    let covered: Covered | undefined;
    const end = await this.packs.commit(
      (all) => {
        covered = all;
        return this.commitRecord(commit, all);
      },
      (write) => this.withReserve(write),
    );
    if (end !== undefined) this.point = { commit, ...end };
    this.catalog.state.write(this.counters, this.point);
    this.catalog.commit();
    this.isAtOdds = false;
    if (covered !== undefined) this.parity.note({ ...covered, point: this.point });
    if (this.logBytes() >= Math.min(FOLD_LOG_BYTES, freeBytes / FOLD_FREE_PART)) this.foldLog();
    this.catalog.begin();
  }

  private async commitRecord(commit: number, covered: Covered): Promise<Buffer> {
    await this.mendKeysOnce();
    const sequence = this.nextSequence();
    const { counters, point } = this;
    return buildCommit(sequence, { commit, previous: point.checksum, ...covered, counters });
  }

  /**
   * Repairs the key records once in a session, as soon as there are packs, since the copies of key records are in their
   * directory. On a full disk, or while accounts are being changed, the next session does it.
   */
  private async mendKeysOnce(): Promise<void> {
    if (this.hasMendedKeys) return;
    this.hasMendedKeys = true;
    try {
      await this.mendKeys();
    } catch (error) {
      if (!isDiskFull(error) && asTardisError(error).code !== 'CLIENT_BUSY') throw error;
    }
  }

  /** Folds the catalog's log into its file. If there is no space, the log stays; its data is durable in the log too. */
  private foldLog(): void {
    try {
      this.withReserve(() => this.catalog.foldLog());
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  /**
   * Runs a write that must not fail on a full disk. If it fails with a full disk, releases the reserve and runs the
   * write again.
   */
  private withReserve<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isDiskFull(error) || !this.reserve.release()) throw error;
      return work();
    }
  }

  /**
   * Closes the store in order. Changes that no checkpoint covers are rolled back. A released reserve is made
   * again if there is space.
   */
  close(): void {
    try {
      this.packs.close();
      this.backend.close();
      this.catalog.close(() => this.reserve.release());
      if (this.reserve.wasReleased) {
        this.reserve.restore(reserveFor(this.measure(), NOTHING_RECEIVED));
      }
    } finally {
      this.lock.release();
    }
  }

  /**
   * Closes the store after a failure, and returns the error to report. Never throws. On a full disk it folds the
   * catalog's log if possible, so that reading the catalog needs no free space.
   */
  closeAfterFailure(error: unknown): unknown {
    const explained = this.reserve.explain(error);
    try {
      if (isDiskFull(explained)) {
        this.packs.giveUp();
        this.close();
      }
    } catch {
      // A reader can copy the catalog as it is. The failure that ended the session is reported.
    }
    this.abandon();
    return explained;
  }

  /** Closes the store at once after a failure; the next opening recovers it. Never throws. */
  abandon(): void {
    this.closeParts();
    cleanUp(() => this.lock.release());
  }

  private closeParts(): void {
    cleanUp(
      () => this.packs.close(),
      () => this.backend.close(),
      () => this.catalog.abandon(),
    );
  }
}

/**
 * Opens a store for `work`, and closes it. Throws the errors of `StoreWriter.open` and of the work; what no checkpoint
 * covers is then rolled back.
 */
export async function withWriter<T>(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  work: (store: StoreWriter) => Promise<T>,
): Promise<T> {
  const store = await StoreWriter.open(system, directory, limits);
  try {
    const result = await work(store);
    store.close();
    return result;
  } catch (error) {
    throw store.closeAfterFailure(error);
  }
}
