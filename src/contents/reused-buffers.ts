import { NO_BYTES, releaseAll } from '../model/index.js';

/** Buffers that a reader uses for one record after the other. Their maker frees them. */
export class ReusedBuffers {
  decoded: Buffer = NO_BYTES;
  stored: Buffer = NO_BYTES;
  /** Decoded chunks beside the one in `decoded`, if several are in use at once. */
  private readonly others: Buffer[] = [];

  /** Returns a buffer with room for one of the decoded chunks that are in use at once. The first one is in `decoded`. */
  chunk(index: number, bytes: number): Buffer {
    if (index === 0) return (this.decoded = room(this.decoded, bytes));
    return (this.others[index - 1] = room(this.others[index - 1] ?? NO_BYTES, bytes));
  }

  release(): void {
    releaseAll([this.decoded, this.stored, ...this.others.splice(0)]);
    this.decoded = NO_BYTES;
    this.stored = NO_BYTES;
  }
}

/** Returns a buffer with room for `bytes`: the current one, if it is large enough. */
export function room(current: Buffer, bytes: number): Buffer {
  return current.length >= bytes ? current : Buffer.allocUnsafeSlow(bytes);
}
