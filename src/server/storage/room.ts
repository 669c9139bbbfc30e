/**
 * Room for what one session stores: its account's quota, and the disk. Both end a session in order: what has
 * come and fits is kept at a checkpoint, and the client is told what is full.
 */
import { causeCode, isDiskFull, TardisError } from '../../errors/index.js';
import type { ClientStore } from '../../keeper/index.js';
import type { IncomingContents } from './incoming-contents.js';

/** The free space is looked at after so many bytes: that is how much further than LeastFree a session may get. */
const LOOK_EVERY_BYTES = 1 << 20;

export class Room {
  private lookedAtBytes = 0;
  private readonly store: ClientStore;
  private readonly large: IncomingContents;

  constructor(store: ClientStore, large: IncomingContents) {
    this.store = store;
    this.large = large;
  }

  private get storedBytes(): number {
    return this.store.packs.appendedBytes + this.large.stagedBytes;
  }

  /** Before a set is opened. Throws QUOTA_EXCEEDED, DISK_FULL. */
  require(): void {
    this.store.space?.requireRoom();
    this.store.reserve.require();
  }

  /** Counts what a message has brought. Throws DISK_FULL when there is too little left for another one, if one comes. */
  count(isLast: boolean): void {
    this.settle();
    if (isLast) return;
    if (this.store.isRunningOut) throw this.store.reserve.full();
    const { storedBytes } = this;
    // It shrinks when streams get their place.
    if (Math.abs(storedBytes - this.lookedAtBytes) < LOOK_EVERY_BYTES) return;
    this.lookedAtBytes = storedBytes;
    this.store.reserve.requireFree();
  }

  /** Sets right what counts for the quota. */
  settle(): void {
    this.store.space?.settle(this.storedBytes);
  }

  /**
   * After a failure: where a disk or a quota is full, what fits is kept by `checkpoint`. A failure that leaves
   * catalog and packs at odds (SQLite may have stopped in the middle of what belongs together) goes back to the last checkpoint.
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
      // The first failure is the one to tell; this one only means that the last checkpoint stands.
      if (!isDiskFull(second)) throw second;
    }
  }

  /** The failure as the client is to hear of it. */
  told(error: unknown): unknown {
    return this.store.reserve.explain(error);
  }
}
