/** Gives jobs what those of one runner share: the system, recent digests, and memory that the next job uses again. */
import type { System } from '../system/index.js';
import type { JobRunner } from './job-runner.js';
import type { ParcelInput, RecentDigests } from './jobs.js';
import { ParcelMemory } from './parcel-memory.js';
import { NO_BYTES, releaseMemory } from '../model/index.js';

export interface JobContext {
  readonly system: System;
  readonly recent: RecentDigests;
  readonly memory: JobMemory;
  /**
   * If given, the calls of the addon for many files work on a thread of libuv's pool, while other jobs go on. Jobs that would
   * keep the calling thread busy are left to this runner.
   */
  readonly others?: JobRunner;
}

/** Memory of jobs: as much as there are jobs at once. */
export class JobMemory {
  private readonly parcels: ParcelMemory[] = [];
  private readonly records: RecordMemory[] = [];

  /** Calls `work` with memory for a parcel whose contents do not leave the job. */
  async withParcel<T>(parcel: ParcelInput, work: (memory: ParcelMemory) => Promise<T>): Promise<T> {
    const memory = ParcelMemory.for(parcel, this.parcels.pop());
    try {
      return await work(memory);
    } finally {
      this.parcels.push(memory);
    }
  }

  /** Calls `work` with memory for records. */
  async withRecords<T>(work: (memory: RecordMemory) => Promise<T>): Promise<T> {
    const memory = this.records.pop() ?? new RecordMemory();
    try {
      return await work(memory);
    } finally {
      this.records.push(memory);
    }
  }

  release(): void {
    for (const memory of this.parcels.splice(0)) memory.release();
    for (const memory of this.records.splice(0)) memory.release();
  }
}

/** Maximum memory that is kept for the next job: enough for a parcel of the usual size that does not shrink. */
const MAX_KEPT_BYTES = 3 << 20;

/**
 * Memory in which one job at a time makes the records of a parcel. It has room for contents that do not shrink, and the
 * next job uses it again. The records leave it in memory of their size, since those of many parcels wait for the server.
 */
export class RecordMemory {
  private memory = NO_BYTES;

  /** Returns all of the memory, which has at least this size. */
  room(bytes: number): Buffer {
    if (this.memory.length < bytes) {
      this.release();
      this.memory = Buffer.allocUnsafeSlow(bytes);
    }
    return this.memory;
  }

  /** Returns a copy of records. The memory that they were made in is kept for the next job, or freed if it is large. */
  leave(records: Uint8Array): Buffer {
    const copy = Buffer.allocUnsafeSlow(records.length);
    copy.set(records);
    const made = Buffer.from(records.buffer as ArrayBuffer);
    if (made.buffer !== this.memory.buffer) this.release();
    this.memory = made;
    if (made.length > MAX_KEPT_BYTES) this.release();
    return copy;
  }

  release(): void {
    releaseMemory(this.memory);
    this.memory = NO_BYTES;
  }
}
