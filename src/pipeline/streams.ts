/**
 * Limits of the large files, and of their parts, that are read at once: a slot and a window of the budget for each part
 * that is read, and the memory of the signatures that deltas need.
 */
import { MAX_RANGE_LOADED_BYTES, MAX_SIGNATURE_BYTES } from '../delta/index.js';
import { STREAM_CHUNK_BYTES } from '../store/index.js';
import { BoundedCache, Credit } from '../system/index.js';
import type { Budget } from './budget.js';
import type { Counters } from './counters.js';
import { MAX_LOADED_BYTES } from './file-delta.js';

/** Number of parts that are compared with ranges of their bases at once. */
const RANGES_AT_ONCE = 2;

/** Maximum size of a content that is not cut, and size of the parts of larger contents. */
export const PART_BYTES = 64 << 20;
/**
 * Maximum number of sizes of sent files that are remembered. They are only a hint: a forgotten size costs a second
 * transfer at most.
 */
const MAX_SIZES = 1 << 16;
const MIN_WINDOW_CHUNKS = 2;
const MAX_WINDOW_CHUNKS = 16;

export class Streams {
  /** Limits the memory of the signatures of bases. */
  readonly signatureBytes = new Credit(MAX_LOADED_BYTES);
  /** Limits the memory of signatures that were made and not yet sent. */
  readonly madeBytes = new Credit(2 * MAX_SIGNATURE_BYTES);
  /** Memory of loaded signatures of ranges. */
  readonly rangeBytes = new Credit(RANGES_AT_ONCE * MAX_RANGE_LOADED_BYTES);
  /** Sizes of files sent in this session. A second file of the same size may be a copy. */
  readonly sentSizes = new BoundedCache<number, true>(MAX_SIZES);
  private readonly slots: Credit;
  private readonly most: number;

  /** The concurrency of `counters.parts` is the number of parts (or files) streamed at once. */
  constructor(
    private readonly budget: Budget,
    private readonly counters: Counters,
  ) {
    this.most = counters.parts.concurrency;
    this.slots = new Credit(this.most);
  }

  /** Number of chunks of one stream that may be in flight. The budget grows on a link with long round trips. */
  get windowChunks(): number {
    const share = this.budget.bytes.limit / 2 / this.most / STREAM_CHUNK_BYTES;
    return Math.min(MAX_WINDOW_CHUNKS, Math.max(MIN_WINDOW_CHUNKS, Math.floor(share)));
  }

  /** Increases the number of parts that wait for answers while others are read, for a link with long round trips. */
  widen(): void {
    const { most, counters } = this;
    const parts = Math.max(counters.large.concurrency, most);
    this.slots.grow(parts - most);
    counters.parts.concurrency = parts;
  }

  /**
   * Waits for a slot and for the window of a part. Returns the number of bytes of the window, which must be returned
   * by `leave`.
   */
  async enter(formBytes: number): Promise<number> {
    await this.slots.take(1);
    // The whole window is taken before the job starts. A job that waited for the shared budget while it keeps a thread
    // could wait for work that needs that thread.
    const mostBytes = Math.min(formBytes, PART_BYTES) + STREAM_CHUNK_BYTES;
    const windowBytes = Math.min(this.windowChunks * STREAM_CHUNK_BYTES, mostBytes);
    await this.budget.bytes.take(windowBytes);
    return windowBytes;
  }

  leave(windowBytes: number): void {
    this.budget.bytes.give(windowBytes);
    this.slots.give(1);
  }
}

/** The slot of one part of a large file. */
export class PartSlot {
  private windowBytes = 0;

  /**
   * Creates a slot that is not taken yet. With `isKept`, it is kept between two readings of the part, until `leave`.
   */
  constructor(
    private readonly streams: Streams,
    private readonly formBytes: number,
    private readonly isKept: boolean,
  ) {}

  /** Runs `read` once a slot is free and the part's window fits into the budget. */
  async reading<T>(read: () => Promise<T>): Promise<T> {
    if (this.windowBytes === 0) this.windowBytes = await this.streams.enter(this.formBytes);
    try {
      return await read();
    } finally {
      if (!this.isKept) this.leave();
    }
  }

  /** Frees the slot, if the part still has it. */
  leave(): void {
    const { windowBytes } = this;
    this.windowBytes = 0;
    if (windowBytes > 0) this.streams.leave(windowBytes);
  }
}
