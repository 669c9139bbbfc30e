import { releaseMemory } from './release.js';

/** A buffer of no bytes: the name before all names, a content that is empty. */
export const NO_BYTES: Buffer = Buffer.alloc(0);
/** The byte between the names of a path, and as a buffer. */
export const SLASH = 0x2f;
export const SLASH_BYTES: Buffer = Buffer.from('/');
/** Minimum size of a buffer that is freed at once. Smaller buffers are left to the garbage collector. */
const MIN_RELEASE_BYTES = 64 << 10;
/**
 * Minimum size of a buffer that `adopt` takes over. A smaller buffer is copied, so that the next append finds free
 * space behind it.
 */
const MIN_ADOPT_BYTES = 256 << 10;

/**
 * Returns a Buffer that shares the memory of `bytes`. A message between threads turns a Buffer into a plain Uint8Array,
 * and this function turns it back.
 */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** True if all bytes are zero. Each is compared with the one before it, so that no zeros have to be kept for it. */
export function isZeros(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return true;
  return bytes[0] === 0 && Buffer.compare(bytes.subarray(1), bytes.subarray(0, -1)) === 0;
}

/** Returns a byte string in which the capital letters of ASCII are small ones; all other bytes stay. */
export function lowerAscii(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1');
  return Buffer.from(
    text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()),
    'latin1',
  );
}

/** Appends bytes to one growing buffer that can be moved to another thread. */
export class BytesBuilder {
  private buffer: Buffer;
  private used = 0;
  /** True if the memory belongs to the caller, so that the builder must not free it. */
  private isLent = false;

  constructor(sizeHintBytes: number) {
    this.buffer = sizeHintBytes === 0 ? NO_BYTES : Buffer.allocUnsafeSlow(sizeHintBytes);
  }

  /**
   * Returns a builder that writes into existing memory as long as that is large enough, and then into memory of its
   * own.
   */
  static over(memory: Uint8Array): BytesBuilder {
    const builder = new BytesBuilder(0);
    builder.buffer = bufferOf(memory);
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

  /**
   * Appends bytes. Returns true if the builder took over the buffer instead of copying it; the caller must not use the
   * buffer afterwards. That happens only while the builder is empty, and only with a large buffer that is alone in its
   * memory.
   */
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

  /**
   * Returns the buffer, and a position in it with space for at least `bytes` bytes. The caller writes there, then calls
   * `commit` with the number of bytes used.
   */
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

  /** Returns a view of all bytes appended so far. The buffer may have unused space behind them. */
  view(): Buffer {
    return this.buffer.subarray(0, this.used);
  }

  /** Forgets all bytes, and frees the memory at once if it is large: views returned earlier become empty. */
  clear(): void {
    this.used = 0;
    this.replaceBy(NO_BYTES);
  }

  /** Returns all bytes in memory of exactly their size. The builder is empty afterwards. */
  take(): Buffer {
    // NO_BYTES stays the builder's: a caller may free or move what it gets.
    const isExact = this.used === this.buffer.length && this.buffer !== NO_BYTES;
    const exact = isExact ? this.buffer : Buffer.allocUnsafeSlow(this.used);
    if (exact !== this.buffer) this.buffer.copy(exact, 0, 0, this.used);
    this.used = 0;
    if (exact !== this.buffer) this.replaceBy(NO_BYTES);
    else this.buffer = NO_BYTES;
    return exact;
  }

  /**
   * Replaces the buffer. Frees the old one if it is large and belongs to the builder: views returned earlier become
   * empty.
   */
  private replaceBy(buffer: Buffer): void {
    if (!this.isLent && this.buffer.length >= MIN_RELEASE_BYTES) releaseMemory(this.buffer);
    this.buffer = buffer;
    this.isLent = false;
  }
}
