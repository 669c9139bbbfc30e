/** Indexes of the deltas that were read last. Their memory is limited. */
import { recordKey, type StoredPiece } from '../contents/index.js';
import type { DeltaIndex } from '../delta/index.js';
import { BoundedCache } from '../system/index.js';

const MAX_INDEX_BYTES = 8 << 20;

export class DeltaIndexes {
  private readonly indexes = new BoundedCache<string, Promise<DeltaIndex>>(MAX_INDEX_BYTES);

  /** Returns the index of a delta. If it is not kept, `read` makes it, and the index is kept. */
  of(piece: StoredPiece, basisBytes: number, read: () => Promise<DeltaIndex>): Promise<DeltaIndex> {
    const key = `${recordKey(piece)}/${basisBytes}`;
    const known = this.indexes.get(key);
    if (known !== undefined) return known;
    const reading = read();
    this.indexes.set(key, reading, 0);
    reading.then(
      (index) => this.indexes.set(key, reading, index.memoryBytes),
      () => this.indexes.delete(key), // the reader gets the error
    );
    return reading;
  }
}
