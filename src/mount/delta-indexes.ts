/** Indexes of the deltas that were read last. Their memory is limited. */
import { recordKey, type StoredPiece } from '../contents/index.js';
import { type DeltaIndex } from '../delta/index.js';

const MAX_INDEX_BYTES = 8 << 20;

export class DeltaIndexes {
  private readonly indexes = new Map<string, Promise<DeltaIndex>>();
  private readonly weights = new Map<string, number>();
  private bytes = 0;

  /** Returns the index of a delta. If it is not kept, `read` makes it, and the index is kept. */
  of(piece: StoredPiece, basisBytes: number, read: () => Promise<DeltaIndex>): Promise<DeltaIndex> {
    const key = `${recordKey(piece)}/${basisBytes}`;
    const known = this.indexes.get(key);
    if (known !== undefined) {
      this.indexes.delete(key);
      this.indexes.set(key, known);
      return known;
    }
    const reading = read();
    this.indexes.set(key, reading);
    reading.then(
      (index) => this.weigh(key, index.memoryBytes),
      () => this.indexes.delete(key), // the reader gets the error
    );
    return reading;
  }

  private weigh(key: string, bytes: number): void {
    this.weights.set(key, bytes);
    this.bytes += bytes;
    for (const oldest of this.indexes.keys()) {
      if (this.bytes <= MAX_INDEX_BYTES || oldest === key) return;
      this.indexes.delete(oldest);
      this.bytes -= this.weights.get(oldest) ?? 0;
      this.weights.delete(oldest);
    }
  }
}
