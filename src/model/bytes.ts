/** Growing runs of bytes, joined into one buffer that can be moved to another thread. */
export class BytesBuilder {
  private buffer: Buffer;
  private used = 0;

  constructor(sizeHintBytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(sizeHintBytes);
  }

  /** Fills memory that was used before, as long as it suffices. */
  static over(memory: Uint8Array): BytesBuilder {
    const builder = new BytesBuilder(0);
    builder.buffer = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
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

  /** All bytes, in front of room that may be left over. */
  view(): Buffer {
    return this.buffer.subarray(0, this.used);
  }

  /** All bytes in memory of exactly their size. */
  take(): Buffer {
    if (this.used === this.buffer.length) return this.buffer;
    const exact = Buffer.allocUnsafeSlow(this.used);
    this.buffer.copy(exact, 0, 0, this.used);
    return exact;
  }
}
