/**
 * Limits on the space of one session: its account's quota, and the disk. If one is exceeded, the session ends in
 * order: received data that fits is kept at a checkpoint, and the client receives the reason.
 */
import { causeCode, isDiskFull, TardisError } from '../../errors/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { IncomingContents } from './incoming-contents.js';

/**
 * Number of stored bytes after which the free space is checked again. A session may take up to this much of LeastFree.
 */
const LOOK_EVERY_BYTES = 1 << 20;

/**
 * Maximum number of written bytes that a file system may not yet have subtracted from its free space: as many as a fast
 * disk can write in some seconds.
 */
const UNCOUNTED_BYTES = 1 << 30;

export class SpaceLimits {
  private lookedAtBytes = 0;
  /** A measurement of the free bytes, with the bytes stored at that moment. */
  private exact: { readonly freeBytes: number; readonly storedBytes: number } | undefined;
  private readonly received = { rowBytes: 0, allBytes: 0 };

  constructor(
    private readonly store: StoreWriter,
    private readonly large: IncomingContents,
  ) {}

  private get storedBytes(): number {
    const { packs, parity } = this.store;
    return packs.appendedBytes + parity.bytes + this.large.stagedBytes;
  }

  /** Checks both limits before a set is opened. Throws QUOTA_EXCEEDED, DISK_FULL. */
  require(): void {
    this.store.space?.requireRoom();
    this.store.requireReserve(this.received);
  }

  /**
   * Makes the reserve large enough for the rows of a message, before the message is handled. So they can be stored even
   * if the disk is full. Throws DISK_FULL.
   */
  prepare(bytes: number, contentBytes: number): void {
    this.received.rowBytes += bytes - contentBytes;
    this.received.allBytes += bytes;
    this.store.coverReserve(this.received);
  }

  /**
   * Counts the data of a message. Throws DISK_FULL if too little space is left for another message, unless this was
   * the last one.
   */
  async count(isLast: boolean): Promise<void> {
    this.settle();
    if (isLast) return;
    const { reserve, isRunningOut } = this.store;
    if (isRunningOut) throw reserve.full();
    const { storedBytes } = this;
    // The number shrinks when staged streams are stored.
    if (Math.abs(storedBytes - this.lookedAtBytes) < LOOK_EVERY_BYTES) return;
    this.lookedAtBytes = storedBytes;
    reserve.requireFree();
    if (this.hasRoom(storedBytes)) return;
    await reserve.settleFree();
    this.exact = { freeBytes: reserve.freeBytes, storedBytes };
    reserve.requireFree();
  }

  /** True if enough space is free, even if the file system has not counted the data since the last measurement. */
  private hasRoom(storedBytes: number): boolean {
    const { freeBytes, leastFreeBytes } = this.store.reserve;
    if (this.exact === undefined) {
      if (freeBytes < leastFreeBytes + UNCOUNTED_BYTES) return false;
      this.exact = { freeBytes, storedBytes };
    }
    return this.exact.freeBytes - (storedBytes - this.exact.storedBytes) >= leastFreeBytes;
  }

  /** Updates the number of bytes that counts for the quota. */
  settle(): void {
    this.store.space?.settle(this.storedBytes);
  }

  /**
   * Handles a failure. If the disk or a quota is full, calls `checkpoint` to keep the data that fits. After a failure
   * that leaves catalog and packs inconsistent (SQLite may have stopped in the middle of a change), only the data of
   * the last checkpoint is kept.
   */
  async keep(error: unknown, checkpoint: () => Promise<void>): Promise<void> {
    const isQuota = error instanceof TardisError && error.code === 'QUOTA_EXCEEDED';
    const isDisk = isDiskFull(error) && causeCode(error)?.startsWith('SQLITE_') !== true;
    if (!(isQuota || isDisk) || !this.store.isWhole) return;
    try {
      this.large.dropAll();
      await checkpoint();
      this.settle();
    } catch (second) {
      // The first failure is the one to report; a full disk here only means that the last checkpoint counts.
      if (!isDiskFull(second)) throw second;
    }
  }

  /** Returns the failure as reported to the client. */
  explained(error: unknown): unknown {
    return this.store.reserve.explain(error);
  }
}
