/** Collects a stream of bytes into large writes, and waits for each write. */
export class ByteSink {
  private readonly buffer = Buffer.allocUnsafe(SINK_BYTES);
  private used = 0;
  /** Number of bytes written so far. */
  bytes = 0;

  /** Creates the sink. `out` may use the buffer that it receives until its promise resolves. */
  constructor(private readonly out: (bytes: Buffer) => Promise<void>) {}

  /** Writes bytes, one part after the other. Once the promise resolves, the caller may reuse their memory. */
  async write(...parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) {
      this.bytes += part.length;
      if (part.length < SINK_BYTES - this.used) this.keep(part);
      else await this.writeMuch(part);
    }
  }

  private keep(part: Uint8Array): void {
    this.buffer.set(part, this.used);
    this.used += part.length;
  }

  private async writeMuch(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const left = bytes.length - at;
      if (this.used === 0 && left >= SINK_BYTES) {
        await this.out(Buffer.from(bytes.buffer, bytes.byteOffset + at, left));
        return;
      }
      const part = bytes.subarray(at, at + SINK_BYTES - this.used);
      this.keep(part);
      at += part.length;
      if (this.used === SINK_BYTES) await this.flush();
    }
  }

  async flush(): Promise<void> {
    if (this.used === 0) return;
    const full = this.buffer.subarray(0, this.used);
    this.used = 0;
    await this.out(full);
  }
}

const SINK_BYTES = 256 << 10;
