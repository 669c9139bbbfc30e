/**
 * Memory in which one job at a time makes the records of a parcel. It has room for contents that do not shrink, and the
 * next job uses it again. The records leave it in memory of their size, since those of many parcels wait for the server.
 */
import { NO_BYTES, releaseMemory } from '../model/index.js';

/** Maximum memory that is kept for the next job: enough for a parcel of the usual size that does not shrink. */
const MAX_KEPT_BYTES = 3 << 20;

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
