/** Chooses the records whose bytes a check reads: all of them, one part of several, or those not read for longest. */
import { crc32 } from 'node:zlib';
import { recordKey } from '../../contents/index.js';
import type { ReadMemory } from './read-memory.js';

/** Part of the stored data to read. */
export type ReadData =
  | { readonly kind: 'none' }
  | { readonly kind: 'all' }
  /** The n-th of several parts, counted from 1. */
  | { readonly kind: 'part'; readonly part: number; readonly of: number }
  | { readonly kind: 'percent'; readonly percent: number }
  | { readonly kind: 'bytes'; readonly bytes: number };

export interface ReadRequest {
  readonly data: ReadData;
  /** Age in ms below which a record is not read again; 0 excludes none. */
  readonly leastAgeMs: number;
}

export interface PlannedRecord {
  readonly object: string;
  readonly position: number;
  readonly bytes: number;
}

export class ReadPlan {
  bytesToRead = 0;
  /** Bytes of all records. */
  totalBytes = 0;
  /** After the check, each record was read at this time or later; 0 if one never was, or if nothing is read. */
  allReadSinceMs = 0;
  /** Records that were chosen one by one. */
  private readonly chosen: Set<string> | undefined;

  private constructor(
    private readonly request: ReadRequest,
    private readonly memory: ReadMemory,
    private readonly nowMs: number,
    isByAge: boolean,
  ) {
    this.chosen = isByAge ? new Set() : undefined;
  }

  static make(
    request: ReadRequest,
    memory: ReadMemory,
    nowMs: number,
    records: readonly PlannedRecord[],
  ): ReadPlan {
    const { data } = request;
    const plan = new ReadPlan(
      request,
      memory,
      nowMs,
      data.kind === 'percent' || data.kind === 'bytes',
    );
    plan.totalBytes = records.reduce((sum, { bytes }) => sum + bytes, 0);
    if (data.kind === 'none') return plan;
    if (data.kind === 'percent' || data.kind === 'bytes') {
      const { totalBytes } = plan;
      plan.choose(records, data.kind === 'bytes' ? data.bytes : (totalBytes * data.percent) / 100);
    }
    plan.allReadSinceMs = nowMs;
    for (const { object, position, bytes } of records) {
      const isRead = plan.includes(object, position);
      if (isRead && plan.chosen === undefined) plan.bytesToRead += bytes;
      const atMs = isRead ? nowMs : plan.lastReadMs(object, position);
      plan.allReadSinceMs = Math.min(plan.allReadSinceMs, atMs);
    }
    return plan;
  }

  includes(object: string, position: number): boolean {
    const { data } = this.request;
    if (data.kind === 'none') return false;
    const key = recordKey({ object, position });
    if (this.chosen !== undefined) return this.chosen.has(key);
    if (data.kind === 'part' && crc32(key) % data.of !== data.part - 1) return false;
    return this.isOldEnough(this.lastReadMs(object, position));
  }

  /** Chooses records until they have `budgetBytes`: first those never read, then those not read for longest. */
  private choose(records: readonly PlannedRecord[], budgetBytes: number): void {
    const ordered = records
      .map((record) => ({ ...record, atMs: this.lastReadMs(record.object, record.position) }))
      .filter(({ atMs }) => this.isOldEnough(atMs))
      .sort((a, b) => a.atMs - b.atMs); // stable: keeps the order of the packs
    for (const record of ordered) {
      if (this.bytesToRead >= budgetBytes) return;
      this.chosen!.add(recordKey(record));
      this.bytesToRead += record.bytes;
    }
  }

  /**
   * Returns the time at which a record was last read; 0 if never. A time in the future is from a wrong clock, and
   * counts as never.
   */
  private lastReadMs(object: string, position: number): number {
    const atMs = this.memory.readAtMs(object, position);
    return atMs > this.nowMs ? 0 : atMs;
  }

  private isOldEnough(atMs: number): boolean {
    const { leastAgeMs } = this.request;
    return leastAgeMs === 0 || atMs === 0 || this.nowMs - atMs >= leastAgeMs;
  }
}
