import { releaseMemory } from './release.js';

/** Smaller memory is left to the garbage collector. */
const MIN_RELEASE_BYTES = 64 << 10;
/** Taking over less than this would only make the next addition grow sooner. */
const MIN_ADOPT_BYTES = 256 << 10;

/** Growing runs of bytes, joined into one buffer that can be moved to another thread. */
export class BytesBuilder {
  private buffer: Buffer;
  private used = 0;
  /** The memory came from elsewhere, and is not ours to free. */
  private isLent = false;

  constructor(sizeHintBytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(sizeHintBytes);
  }

  /** Fills memory that was used before, as long as it suffices. */
  static over(memory: Uint8Array): BytesBuilder {
    const builder = new BytesBuilder(0);
    builder.buffer = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
    builder.isLent = true;
    return builder;
  }

  get length(): number {
    return this.used;
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** The same, but true when the memory itself was taken over: if it is much, and the first. */
  adopt(bytes: Buffer): boolean {
    const isWorth = bytes.length >= MIN_ADOPT_BYTES && bytes.buffer.byteLength === bytes.length;
    if (this.used > 0 || !isWorth) {
      this.append(bytes);
      return false;
    }
    this.replaceBy(bytes);
    this.used = bytes.length;
    return true;
  }

  /** Gives `bytes` bytes of room to write in; `commit` says how many were used. */
  reserve(bytes: number): { buffer: Buffer; at: number } {
    if (this.used + bytes > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.used + bytes));
      this.buffer.copy(larger, 0, 0, this.used);
      this.replaceBy(larger);
    }
    return { buffer: this.buffer, at: this.used };
  }

  commit(bytes: number): void {
    this.used += bytes;
  }

  /** All bytes, in front of room that may be left over. */
  view(): Buffer {
    return this.buffer.subarray(0, this.used);
  }

  /** All bytes in memory of exactly their size. The builder is empty afterwards. */
  take(): Buffer {
    const exact =
      this.used === this.buffer.length ? this.buffer : Buffer.allocUnsafeSlow(this.used);
    if (exact !== this.buffer) this.buffer.copy(exact, 0, 0, this.used);
    this.used = 0;
    if (exact !== this.buffer) this.replaceBy(Buffer.alloc(0));
    else this.buffer = Buffer.alloc(0);
    return exact;
  }

  /** Views given out before are of no use from here on. */
  private replaceBy(buffer: Buffer): void {
    if (!this.isLent && this.buffer.length >= MIN_RELEASE_BYTES) releaseMemory(this.buffer);
    this.buffer = buffer;
    this.isLent = false;
  }
}
