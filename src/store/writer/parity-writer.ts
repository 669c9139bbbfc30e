/**
 * Makes the parity of the data that a session has stored, once it is durable. Nothing waits for parity. If a session
 * leaves data without parity, because the disk was full or the session was interrupted, garbage collection protects it
 * later.
 */
import { systemCode, TardisError } from '../../errors/index.js';
import type { PackNumber } from '../../model/index.js';
import {
  type Backend,
  leavesRoom,
  makeParity,
  objectName,
  packName,
  parityBytes,
  shapeOf,
} from '../index.js';
import { type System, yieldRegularly } from '../../system/index.js';
import type { CommitPoint } from '../catalog/index.js';

export interface ParityLimits {
  /** Bytes of parity for 100 bytes of packs and objects; 0 or undefined makes none. */
  readonly parityPercent?: number;
  /** Number of free bytes that must remain on the disk. */
  readonly leastFreeBytes?: number;
}

/** The data that a checkpoint has made durable. */
interface Durable {
  readonly ranges: readonly { readonly pack: PackNumber }[];
  readonly objects: readonly { readonly digest: Buffer }[];
  readonly point: CommitPoint;
}

export class ParityWriter {
  private madeBytes = 0;
  /** Number of bytes of the last pack's parity, which is made at the end of the session. */
  private expectedBytes = 0;
  /**
   * Objects and packs that have no parity yet. Objects are protected first, so that a pack with parity shows that its
   * objects have theirs.
   */
  private readonly objects = new Set<string>();
  private readonly packs = new Set<PackNumber>();
  private point: CommitPoint | undefined;
  private isOff: boolean;
  private readonly percent: number;
  private readonly breathe = yieldRegularly();
  private readonly leastFreeBytes: number | undefined;

  constructor(
    private readonly system: System,
    private readonly backend: Backend,
    limits: ParityLimits,
    private readonly freeBytes: () => number,
  ) {
    this.percent = limits.parityPercent ?? 0;
    this.leastFreeBytes = limits.leastFreeBytes;
    this.isOff = this.percent === 0;
  }

  /** Records the data that a checkpoint has made durable. */
  note({ ranges, objects, point }: Durable): void {
    if (this.isOff) return;
    for (const { digest } of objects) this.objects.add(objectName(digest));
    for (const { pack } of ranges) this.packs.add(pack);
    this.packs.add(point.pack);
    this.point = point;
  }

  /** Number of bytes of the parity files that were made, and of the one that `expectLast` has announced. */
  get bytes(): number {
    return this.madeBytes + this.expectedBytes;
  }

  /** Counts the parity of the last pack before it is made, since the used space is reported to the client before. */
  expectLast(): void {
    const { point, percent } = this;
    if (this.isOff || point === undefined || !this.packs.has(point.pack)) return;
    this.expectedBytes = parityBytes(shapeOf(point.position, percent));
  }

  /** Makes parity of the objects, and of all packs but the last. */
  async protectFinished(): Promise<void> {
    await this.protect(false);
  }

  /** Makes parity of the last pack too. Nothing more may be appended to that pack. */
  async protectAll(): Promise<void> {
    this.expectedBytes = 0;
    await this.protect(true);
  }

  private async protect(isEnd: boolean): Promise<void> {
    for (const name of this.objects) {
      if (this.isOff) return;
      this.objects.delete(name);
      await this.make(name, undefined);
    }
    for (const pack of this.packs) {
      const isLast = pack === this.point?.pack;
      if (this.isOff) return;
      if (isLast && !isEnd) continue;
      this.packs.delete(pack);
      await this.make(packName(pack), isLast ? this.point?.position : undefined);
    }
  }

  private async make(name: string, committedBytes: number | undefined): Promise<void> {
    const { backend, system, percent, breathe } = this;
    try {
      const coveredBytes = committedBytes ?? (await backend.size(name)) ?? 0;
      if (coveredBytes === 0) return; // it was removed meanwhile
      if (!this.hasRoom(parityBytes(shapeOf(coveredBytes, percent)))) return;
      const request = { coveredBytes, percent, breathe };
      this.madeBytes += await makeParity(backend, system.native, name, request);
    } catch (error) {
      if (systemCode(error) === undefined && !(error instanceof TardisError)) throw error;
      this.isOff = true; // the data is durable without it; garbage collection makes the rest, or reports the failure
    }
  }

  /**
   * True if parity of this size leaves enough space for the backup itself. Otherwise the session makes no more parity.
   */
  private hasRoom(bytes: number): boolean {
    if (!leavesRoom(bytes, this.freeBytes(), this.leastFreeBytes)) this.isOff = true;
    return !this.isOff;
  }
}
