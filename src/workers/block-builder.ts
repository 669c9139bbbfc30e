/** Growing runs of bytes, joined into one buffer that can be moved to another thread. */
export class BytesBuilder {
  private buffer: Buffer;
  private used = 0;

  constructor(sizeHintBytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(sizeHintBytes);
  }

  get length(): number {
    return this.used;
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** Gives `bytes` bytes of room to write in; `commit` says how many were used. */
  reserve(bytes: number): { buffer: Buffer; at: number } {
    if (this.used + bytes > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.used + bytes));
      this.buffer.copy(larger, 0, 0, this.used);
      this.buffer = larger;
    }
    return { buffer: this.buffer, at: this.used };
  }

  commit(bytes: number): void {
    this.used += bytes;
  }

  /** All bytes in memory of exactly their size. */
  take(): Buffer {
    if (this.used === this.buffer.length) return this.buffer;
    const exact = Buffer.allocUnsafeSlow(this.used);
    this.buffer.copy(exact, 0, 0, this.used);
    return exact;
  }
}

/** The memory behind some buffers, for moving them. All of them must own theirs. */
export function memoryOf(
  ...arrays: readonly (Uint8Array | Uint32Array | Int32Array)[]
): ArrayBuffer[] {
  return arrays.map((array) => array.buffer as ArrayBuffer);
}

/** The n-th run of a block whose runs end at `ends`. A view, not a copy. */
export function runOf(bytes: Uint8Array, ends: Uint32Array, index: number): Buffer {
  const start = index === 0 ? 0 : ends[index - 1]!;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, ends[index]! - start);
}
