/**
 * Reuses the memory of records that the server has received: the next jobs fill it. It is moved between threads instead
 * of being allocated and collected each time, which took a sixth of the main thread's time.
 */
import { releaseMemory } from '../model/index.js';

const MAX_SPARE = 6;
/** Maximum size of a block to keep: room for the records of a parcel of the usual size, even if they do not shrink. */
const MAX_SPARE_BYTES = 3 << 20;

export class SpareMemory {
  private readonly blocks: Uint8Array[] = [];

  take(): Uint8Array | undefined {
    return this.blocks.pop();
  }

  give(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (this.blocks.length >= MAX_SPARE || buffer.byteLength > MAX_SPARE_BYTES) {
      releaseMemory(new Uint8Array(buffer));
    } else if (buffer.byteLength > 0) this.blocks.push(new Uint8Array(buffer));
  }
}
