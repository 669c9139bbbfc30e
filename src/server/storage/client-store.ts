/**
 * One client opened for writing: lock, packs, catalog, and the checkpoint that joins them (see
 * ARCHITECTURE.md). Order of a checkpoint: sync what was appended; append and sync a commit record
 * that covers it; commit the catalog's transaction. The catalog never knows more than the disk.
 */
import { Catalog, type CommitPoint, recoverCatalog } from '../../catalog/index.js';
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
  NO_PACK,
  objectName,
  type ObjectWriter,
  PackWriter,
  RecordKind,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { SpaceMeter } from './space-meter.js';
import type { FinishedStream } from './streams.js';

export interface StoreLimits {
  /** A pack is closed when it has reached this size. */
  readonly packBytes: number;
  /** Streamed contents up to this stored size go into packs, larger ones become objects. */
  readonly packContentBytes: number;
  /** Memory for pages of the catalog. */
  readonly catalogCacheBytes?: number;
}

/** Fold the catalog's log into its file when it has grown by this many checkpoints. */
const FOLD_EVERY_CHECKPOINTS = 4;

const COPY_BYTES = 1 << 20;

async function* piecesOf(writer: ObjectWriter): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, writer.sizeBytes));
  for (let at = 0; at < writer.sizeBytes; ) {
    const got = writer.readBack(at, buffer, Math.min(buffer.length, writer.sizeBytes - at));
    yield buffer.subarray(0, got);
    at += got;
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
  private point: CommitPoint;
  private objects: { digest: Buffer; bytes: number }[] = [];
  private checkpoints = 0;
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
  }) {
    this.lock = parts.lock;
    this.catalog = parts.catalog;
    this.backend = parts.backend;
    this.limits = parts.limits;
    this.space = parts.space;
    this.counters = { ...parts.counters };
    this.point = parts.point;
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
    const lock = await acquireClient(system, directory);
    let catalog: Catalog | undefined;
    try {
      clearIncoming(system, directory);
      catalog = Catalog.openForWriting(system, directory.catalogPath, limits.catalogCacheBytes);
      const backend = new DirectoryBackend(directory.path, system.files);
      // A catalog that was lost is made anew with all care; one that exists lacks little.
      const isLost = catalog.state.readCommitPoint().commit === 0;
      const report = await recoverCatalog(catalog, backend, { checkBodies: isLost });
      catalog.begin();
      const { counters, point, lastPack } = report;
      return new ClientStore({ lock, catalog, backend, limits, counters, point, lastPack, space });
    } catch (error) {
      catalog?.abandon();
      lock.release();
      throw error;
    }
  }

  nextSequence(): number {
    this.counters.sequence += 1;
    return this.counters.sequence;
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

  /** Makes everything so far durable, in the order told above, and begins anew. */
  async checkpoint(): Promise<void> {
    const ranges = this.packs.takeRanges();
    const { objects } = this;
    if (ranges.length > 0 || objects.length > 0) {
      await this.packs.sync();
      const commit = this.point.commit + 1;
      const sequence = this.nextSequence();
      const record = buildCommit(sequence, { commit, ranges, objects, counters: this.counters });
      const { pack, position } = this.packs.appendCommit(record);
      await this.packs.sync();
      this.point = { commit, pack, position: position + record.length };
      this.objects = [];
    }
    this.catalog.state.write(this.counters, this.point);
    this.catalog.commit();
    this.checkpoints += 1;
    if (this.checkpoints % FOLD_EVERY_CHECKPOINTS === 0) this.catalog.foldLog();
    this.catalog.begin();
  }

  /** Ends the session in order. What no checkpoint covered is given up. */
  close(): void {
    try {
      this.packs.close();
      this.backend.close();
      this.catalog.close();
    } finally {
      this.lock.release();
    }
  }

  /** Lets go at once after a failure; the next opening recovers. Never throws. */
  abandon(): void {
    for (const step of [
      () => this.packs.close(),
      () => this.backend.close(),
      () => this.catalog.abandon(),
      () => this.lock.release(),
    ]) {
      try {
        step();
      } catch {
        continue; // the failure that led here is the one to tell
      }
    }
  }
}
