/**
 * Computes the number of bytes that garbage collection may write. If space is short, garbage collection deletes
 * unneeded files at once, and uses the space of the reserve. Each of its steps then frees at least as much as it took.
 */
import type { StoreWriter } from '../../store/writer/index.js';

/** A step changes at most this part of the catalog: a quarter, and not more than CATALOG_BYTES. */
const CATALOG_PART = 4;
const CATALOG_BYTES = 4 << 20;
/** Number of bytes that a step writes besides packs and catalog: events, a commit, names. */
const STEP_BYTES = 128 << 10;
/**
 * Fraction of the usable space that the estimated bytes may fill. A repacked frame may be larger than its estimate,
 * since less data compresses less well.
 */
const LEAST_FIT = 7 / 8;
/**
 * Multiple of the wanted bytes that must be free before space that was short counts as enough. With a smaller multiple,
 * a backup could begin and then fill the disk, while packs still contain unneeded data.
 */
const RELIEF = 2;

interface HeadroomOptions {
  /** Number of free bytes below which no backup begins. */
  readonly wantedFreeBytes: number;
  /** Time for which removed packs are kept if space is not short. */
  readonly graceMs: number;
  /** True if an earlier run was interrupted, perhaps because space was short. */
  readonly isResumed: boolean;
}

export class Headroom {
  private wasShort: boolean;

  constructor(
    private readonly store: StoreWriter,
    private readonly options: HeadroomOptions,
    private readonly catalogBytes: () => number,
  ) {
    this.wasShort = options.isResumed;
  }

  /**
   * True if less space is free than a backup needs to begin. Once true, it stays true until RELIEF times as much
   * space is free.
   */
  get isShort(): boolean {
    const enoughBytes = this.options.wantedFreeBytes * (this.wasShort ? RELIEF : 1);
    this.wasShort = this.store.reserve.freeBytes < enoughBytes;
    return this.wasShort;
  }

  /**
   * Time for which removed packs are kept. If space is short they are deleted at once, and a reader looks up missing
   * data again.
   */
  get graceMs(): number {
    return this.isShort ? 0 : this.options.graceMs;
  }

  /**
   * Number of bytes that the next step may append to packs. If removed packs are deleted at once, a step may also use
   * the reserve and the space that backups need to begin, since it frees as much again.
   */
  get bytes(): number {
    const { reserve } = this.store;
    const isReturned = this.graceMs === 0;
    const usable = isReturned
      ? reserve.freeBytes + reserve.sizeBytes
      : reserve.freeBytes - this.options.wantedFreeBytes;
    return Math.max(0, Math.floor((usable - this.ownBytes) * LEAST_FIT));
  }

  /** Releases the reserve if the free space without it is too small for a step. */
  async lend(bytes: number): Promise<void> {
    const { reserve } = this.store;
    if (reserve.freeBytes >= bytes / LEAST_FIT + this.ownBytes) return;
    if (reserve.release()) await reserve.settleFree();
  }

  /** If space is short, waits until the free space includes everything removed so far, and the released reserve. */
  async settle(): Promise<void> {
    if (this.isShort) await this.store.reserve.settleFree();
  }

  /** Number of bytes that a step writes besides packs: the log of the catalog, events, a commit, names. */
  private get ownBytes(): number {
    return STEP_BYTES + Math.min(this.catalogBytes() / CATALOG_PART, CATALOG_BYTES);
  }
}
