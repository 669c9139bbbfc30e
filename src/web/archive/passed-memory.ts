/**
 * Memory for bytes that are passed on. It is reused, since unused buffers would stay allocated until the next garbage
 * collection of the heap: some hundred megabytes for an archive.
 */

/** Maximum number of unused buffers that are kept. */
const MOST_SPARE = 4;
/** Size of new buffers, unless more is needed: that of a decoded chunk. */
const USUAL_BYTES = 1 << 20;

export class PassedMemory {
  private readonly spare: ArrayBuffer[] = [];
  /** Buffers that this object has given out. Other buffers, such as several joined to one, are not taken back. */
  private readonly given = new WeakSet<ArrayBuffer>();

  copyOf(bytes: Uint8Array): Buffer {
    const index = this.spare.findIndex(({ byteLength }) => byteLength >= bytes.length);
    const [found] = index < 0 ? [] : this.spare.splice(index, 1);
    const memory = found ?? new ArrayBuffer(Math.max(USUAL_BYTES, bytes.length));
    this.given.add(memory);
    const copy = Buffer.from(memory, 0, bytes.length);
    copy.set(bytes);
    return copy;
  }

  /** Takes back the memory of bytes that are no longer read. */
  takeBack({ buffer }: Buffer): void {
    if (!(buffer instanceof ArrayBuffer) || !this.given.delete(buffer)) return;
    if (this.spare.length < MOST_SPARE) this.spare.push(buffer);
  }
}
