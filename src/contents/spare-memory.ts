/**
 * Memory of decoded records that is used again for the next ones. New memory takes the system's time: each page of it
 * is cleared at its first use, and the garbage collector runs early for memory that it does not see.
 */
import { releaseAll } from '../model/index.js';

/** Maximum number and size of blocks that are kept. Their sizes are multiples of STEP_BYTES. */
const MAX_BLOCKS = 2;
const MAX_BLOCK_BYTES = 2 << 20;
const STEP_BYTES = 256 << 10;

export class SpareMemory {
  private readonly blocks: ArrayBuffer[] = [];

  /** Returns memory of this length, whose content is not cleared. */
  take(bytes: number): Buffer {
    if (bytes < STEP_BYTES || bytes > MAX_BLOCK_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const roomBytes = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
    const at = this.blocks.findIndex(({ byteLength }) => byteLength === roomBytes);
    const block = at < 0 ? Buffer.allocUnsafeSlow(roomBytes).buffer : this.blocks.splice(at, 1)[0]!;
    return Buffer.from(block, 0, bytes);
  }

  /**
   * Keeps the memory of a few blocks of suitable sizes, and frees the others. The caller must have all of the memory
   * behind a block, and must not use it afterwards.
   */
  giveBack(blocks: readonly Buffer[]): void {
    const freed: Uint8Array[] = [];
    for (const { buffer } of blocks) {
      if (!(buffer instanceof ArrayBuffer)) continue;
      const { byteLength } = buffer;
      const isKept =
        byteLength % STEP_BYTES === 0 && byteLength > 0 && byteLength <= MAX_BLOCK_BYTES;
      if (isKept) this.blocks.push(buffer);
      else freed.push(new Uint8Array(buffer));
    }
    const over = this.blocks.splice(0, Math.max(0, this.blocks.length - MAX_BLOCKS));
    releaseAll([...freed, ...over.map((buffer) => new Uint8Array(buffer))]);
  }
}
