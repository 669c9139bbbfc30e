/**
 * One client opened for writing: lock, packs, catalog, and the checkpoint that joins them (see
 * ARCHITECTURE.md). Order of a checkpoint: sync what was appended; append and sync a commit record
 * that covers it; commit the catalog's transaction. The catalog never knows more than the disk.
 */
import { Catalog, type CommitPoint, recoverCatalog } from '../catalog/index.js';
import { isDiskFull, letGo } from '../errors/index.js';
import {
  acquireClient,
  type Backend,
  buildCommit,
  clearIncoming,
  type ClientDirectory,
  type ClientLock,
  type Counters,
  DirectoryBackend,
  type Location,
  lockClient,
  NO_PACK,
  objectName,
  type ObjectWriter,
  PackWriter,
  RecordKind,
} from '../store/index.js';
import type { System } from '../system/index.js';
import { Reserve, type ReserveLimits } from './reserve.js';
import type { SpaceMeter } from './space-meter.js';
import type { FinishedStream } from './streams.js';

export interface StoreLimits extends ReserveLimits {
  /** A pack is closed when it has reached this size. */
  readonly packBytes: number;
  /** Streamed contents up to this stored size go into packs, larger ones become objects. */
  readonly packContentBytes: number;
  /** Memory for pages of the catalog. */
  readonly catalogCacheBytes?: number;
  /** False: a catalog of an earlier version is left as it is (CATALOG_OLDER). */
  readonly mayUpgrade?: boolean;
  /** False: whoever has the client's lock is not asked for it, since what is to be done can wait. */
  readonly asksForLock?: boolean;
}

/**
 * The catalog's log is folded into its file when it has grown to this, which costs up to three syncs, or to
 * this part of the free space: folding needs room too.
 */
const FOLD_LOG_BYTES = 48 << 20;
const FOLD_FREE_PART = 8;

/** A checkpoint wants room for the changed pages of the catalog that are in memory still (its cache) … */
const USUAL_CACHE_BYTES = 6 << 20;
/** … and for the records that come before. */
const RECORDS_BYTES = 2 << 20;

const COPY_BYTES = 1 << 20;

async function* piecesOf(writer: ObjectWriter): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, writer.sizeBytes));
  for (let at = 0; at < writer.sizeBytes; ) {
    const got = writer.readBack(at, buffer, Math.min(buffer.length, writer.sizeBytes - at));
    yield buffer.subarray(0, got);
    at += got;
  }
}

interface OpenedParts {
  readonly catalog: Catalog;
  readonly backend: Backend;
  readonly counters: Counters;
  readonly point: CommitPoint;
  readonly lastPack: number;
}

/**
 * Makes sure that a journal stays as it is: whoever cut it to nothing, or had just begun it, may have been killed before his
 * sync, and a power cut later would bring another one back, to undo what was written since.
 */
async function endJournal({ files }: System, { catalogPath }: ClientDirectory): Promise<void> {
  const journal = `${catalogPath}-journal`;
  if (files.status(journal) === undefined) return;
  const fd = files.open(journal, 'write');
  try {
    await files.sync(fd);
  } finally {
    files.close(fd);
  }
}

/** Opens catalog and packs, applying what a crash kept from the catalog. A transaction is open afterwards. */
async function openParts(
  system: System,
  directory: ClientDirectory,
  { catalogCacheBytes, mayUpgrade }: StoreLimits,
): Promise<OpenedParts> {
  await endJournal(system, directory);
  const options = { cacheBytes: catalogCacheBytes, mayUpgrade };
  const catalog = Catalog.openForWriting(system, directory.catalogPath, options);
  const backend = new DirectoryBackend(directory.path, system.files);
  try {
    // A catalog that was lost is made anew with all care; one that exists lacks little.
    const isLost = !catalog.state.isWritten();
    const report = await recoverCatalog(catalog, backend, { checkBodies: isLost });
    const { counters, point, lastPack } = report;
    catalog.begin();
    if (isLost) {
      // Before there is a pack, so that a first checkpoint that was cut short is not taken for one that was told.
      catalog.state.write(counters, point);
      if (point.commit > 0) catalog.state.writeWaste({ versions: true, contents: true });
      catalog.commit();
      catalog.begin();
    }
    return { catalog, backend, counters, point, lastPack };
  } catch (error) {
    backend.close();
    catalog.abandon();
    throw error;
  }
}

export class ClientStore {
  readonly catalog: Catalog;
  readonly packs: PackWriter;
  readonly backend: Backend;
  readonly counters: { -readonly [K in keyof Counters]: number };
  readonly limits: StoreLimits;
  /** Of a session whose account has a quota. */
  readonly space: SpaceMeter | undefined;
  readonly reserve: Reserve;
  /** Packs from this number on are our own. */
  readonly firstOwnPack: number;
  /** Changes of entries since it was opened. */
  entriesWritten = 0;
  private isAtOdds = false;
  private point: CommitPoint;
  private objects: { digest: Buffer; bytes: number }[] = [];
  private readonly logBytes: () => number;
  private readonly lock: ClientLock;

  private constructor(parts: {
    lock: ClientLock;
    catalog: Catalog;
    backend: Backend;
    limits: StoreLimits;
    counters: Counters;
    point: CommitPoint;
    lastPack: number;
    space: SpaceMeter | undefined;
    reserve: Reserve;
    logBytes: () => number;
  }) {
    this.lock = parts.lock;
    this.catalog = parts.catalog;
    this.backend = parts.backend;
    this.limits = parts.limits;
    this.space = parts.space;
    this.reserve = parts.reserve;
    this.logBytes = parts.logBytes;
    this.counters = { ...parts.counters };
    this.point = parts.point;
    this.firstOwnPack = parts.lastPack + 1;
    this.packs = new PackWriter(parts.backend, parts.lastPack, parts.limits.packBytes);
  }

  /**
   * Locks and opens, applying what a crash kept from the catalog. A transaction is open afterwards.
   * Throws CLIENT_BUSY, CATALOG_NEWER, CATALOG_DAMAGED, STORE_NOT_WRITABLE, DISK_FULL.
   */
  static async open(
    system: System,
    directory: ClientDirectory,
    limits: StoreLimits,
    space?: SpaceMeter,
  ): Promise<ClientStore> {
    const { asksForLock = true } = limits;
    const lock = asksForLock
      ? await acquireClient(system, directory)
      : lockClient(system, directory);
    const reserve = new Reserve(system, directory.path, limits);
    try {
      clearIncoming(system, directory);
      const opened = await openParts(system, directory, limits).catch(async (error: unknown) => {
        if (!isDiskFull(reserve.explain(error)) || !reserve.release()) throw error;
        return openParts(system, directory, limits);
      });
      const log = `${directory.catalogPath}-wal`;
      const logBytes = (): number => system.files.status(log)?.sizeBytes ?? 0;
      return new ClientStore({ lock, limits, space, reserve, logBytes, ...opened });
    } catch (error) {
      const told = reserve.explain(error);
      try {
        if (isDiskFull(told)) reserve.restore();
      } finally {
        lock.release();
      }
      throw told;
    }
  }

  /** The last commit record that is written. */
  get commitPoint(): CommitPoint {
    return this.point;
  }

  nextSequence(): number {
    this.counters.sequence += 1;
    return this.counters.sequence;
  }

  /** The disk is, or is nearly, full: what must be written has begun to use the room kept for it. */
  get isRunningOut(): boolean {
    return this.reserve.wasReleased;
  }

  /**
   * Whether packs and catalog still say the same, so that a checkpoint may join them: not when a record of
   * the store's own could not be written, after a checkpoint that failed, nor when SQLite has given up its transaction.
   */
  get isWhole(): boolean {
    return !this.isAtOdds && this.catalog.isInTransaction;
  }

  /**
   * Appends a record of the store's own (listing, event): what the catalog says already must reach the
   * packs, so it may use the reserve. Contents do not: they are appended to `packs`.
   */
  appendOwn(record: Buffer): Location {
    try {
      return this.withReserve(() => this.packs.append(record));
    } catch (error) {
      this.isAtOdds = true;
      throw error;
    }
  }

  /**
   * Gives a staged record its place: a copy in a pack when it is of middle size, else an object of
   * its own, named by the digest of its content. Signatures, whose content has that name, are always
   * in packs.
   */
  async placeStaged({ writer, digest, header }: FinishedStream): Promise<Location> {
    const bytes = writer.sizeBytes;
    const name = objectName(digest);
    const isLarge = bytes > this.limits.packContentBytes && header.kind !== RecordKind.signature;
    if (isLarge && (await this.backend.size(name)) === undefined) {
      this.packs.adopt(writer, digest);
      this.objects.push({ digest, bytes });
      return { pack: NO_PACK, position: 0 };
    }
    // Also when an object of that name is there: it is left over or damaged, and none is replaced.
    const location = await this.packs.appendStaged(piecesOf(writer));
    writer.close();
    return location;
  }

  /**
   * Makes everything so far durable, in the order told above, and begins anew. With less free space than a
   * transaction may take, the reserve is given back first.
   */
  async checkpoint(): Promise<void> {
    const { catalogCacheBytes = USUAL_CACHE_BYTES } = this.limits;
    const { freeBytes } = this.reserve;
    if (freeBytes < catalogCacheBytes + RECORDS_BYTES) this.reserve.release();
    this.isAtOdds = true; // until it is through: one that failed is not tried again
    const ranges = this.packs.takeRanges();
    const { objects } = this;
    if (ranges.length > 0 || objects.length > 0) {
      await this.packs.sync();
      const commit = this.point.commit + 1;
      const sequence = this.nextSequence();
      const record = buildCommit(sequence, { commit, ranges, objects, counters: this.counters });
      const { pack, position } = this.withReserve(() => this.packs.appendCommit(record));
      await this.packs.sync();
      this.point = { commit, pack, position: position + record.length };
      this.objects = [];
    }
    this.catalog.state.write(this.counters, this.point);
    this.catalog.commit();
    this.isAtOdds = false;
    if (this.logBytes() >= Math.min(FOLD_LOG_BYTES, freeBytes / FOLD_FREE_PART)) this.foldLog();
    this.catalog.begin();
  }

  /** What is in the log is durable there too, so it may as well stay where there is no room. */
  private foldLog(): void {
    try {
      this.withReserve(() => this.catalog.foldLog());
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  /** Does what may not fail for want of room, with the reserve if need be. */
  private withReserve<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isDiskFull(error) || !this.reserve.release()) throw error;
      return work();
    }
  }

  /**
   * Ends the session in order. What no checkpoint covered is given up. The reserve is made again if it was
   * used and there is room by now.
   */
  close(): void {
    try {
      this.packs.close();
      this.backend.close();
      this.catalog.close(() => this.reserve.release());
      if (this.reserve.wasReleased) this.reserve.restore();
    } finally {
      this.lock.release();
    }
  }

  /**
   * Lets go after a failure, and returns it as it is to be told. Never throws. On a full disk the catalog's
   * log is folded, if that can be done, so that the catalog can be read without a byte of free space.
   */
  letGo(error: unknown): unknown {
    const told = this.reserve.explain(error);
    try {
      if (isDiskFull(told)) this.close();
    } catch {
      // Who reads it as it is left makes a copy; the failure that led here is the one to tell.
    }
    this.abandon();
    return told;
  }

  /** Lets go at once after a failure; the next opening recovers. Never throws. */
  abandon(): void {
    letGo(
      () => this.packs.close(),
      () => this.backend.close(),
      () => this.catalog.abandon(),
      () => this.lock.release(),
    );
  }
}
