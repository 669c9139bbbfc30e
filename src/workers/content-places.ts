/**
 * The positions of a parcel's contents, in the form that the addon fills: arrays of a fixed capacity in one buffer.
 */

import type { ContentKeys } from '../model/index.js';

/** Bytes of a place: four numbers of 32 bits, and a byte. */
const PLACE_BYTES = 17;
/** Minimum size of a row with a name. */
const LEAST_ROW_BYTES = 73;

/** Returns the number of files that some bytes of rows may have. */
export function mostFilesIn(rowBytes: number): number {
  return Math.ceil(rowBytes / LEAST_ROW_BYTES);
}

export class ContentPlaces {
  readonly bytes: Uint8Array;
  count = 0;
  readonly starts: Uint32Array;
  readonly sizes: Uint32Array;
  readonly kinds: Uint32Array;
  /** Offset of each content's row in the parcel. */
  readonly rowOffsets: Uint32Array;
  readonly isRaw: Uint8Array;

  constructor(capacity: number) {
    const memory = new ArrayBuffer(capacity * PLACE_BYTES);
    const numbers = (index: number): Uint32Array =>
      new Uint32Array(memory, 4 * capacity * index, capacity);
    this.bytes = new Uint8Array(memory);
    [this.starts, this.sizes, this.kinds, this.rowOffsets] = [0, 1, 2, 3].map(numbers) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ];
    this.isRaw = new Uint8Array(memory, 16 * capacity, capacity);
  }

  /** Returns the offsets of the rows if the contents will be encrypted; none without keys. */
  encrypted(keys: ContentKeys | undefined): Uint32Array {
    return this.rowOffsets.subarray(0, keys === undefined ? 0 : this.count);
  }

  add(place: {
    readonly start: number;
    readonly sizeBytes: number;
    readonly kind: number;
    readonly rowOffset: number;
    readonly isRaw: boolean;
  }): void {
    const index = this.count;
    this.starts[index] = place.start;
    this.sizes[index] = place.sizeBytes;
    this.kinds[index] = place.kind;
    this.rowOffsets[index] = place.rowOffset;
    this.isRaw[index] = place.isRaw ? 1 : 0;
    this.count += 1;
  }
}
