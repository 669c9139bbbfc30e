/** Memory in which a job reads a parcel, in the form that the addon fills. */
import { type ContentKeys, DIGEST_BYTES, releaseAll } from '../model/index.js';
import { UNDECIDED_NUMBERS } from '../system/index.js';
import { bytesOf } from './block-builder.js';
import type { ParcelInput } from './jobs.js';

/** Bytes of a place: four numbers of 32 bits, and a byte. */
const PLACE_BYTES = 17;
/** Minimum size of a row with a name. */
const LEAST_ROW_BYTES = 73;
/** Room for the attributes of an entry: an ACL and a label of SELinux have less. The system gives no memory to unused room. */
const ATTRIBUTE_BYTES = 192;
/** Step in which the memory for contents grows. */
const STEP_BYTES = 512 << 10;

/** The positions of a parcel's contents: arrays of a fixed capacity in one buffer. */
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

export class ParcelMemory {
  readonly contents: Buffer;
  /** Rows with digests and attributes. */
  readonly out: Buffer;
  readonly digests: Buffer;
  readonly places: ContentPlaces;
  /** UNDECIDED_NUMBERS for each entry that needs a decision. */
  readonly undecided: Uint32Array;

  private constructor(
    contentBytes: number,
    private readonly rowBytes: number,
  ) {
    const mostFiles = Math.ceil(rowBytes / LEAST_ROW_BYTES);
    this.contents = Buffer.allocUnsafeSlow(contentBytes);
    this.out = Buffer.allocUnsafeSlow(rowBytes + mostFiles * (DIGEST_BYTES + ATTRIBUTE_BYTES));
    this.digests = Buffer.allocUnsafeSlow(mostFiles * DIGEST_BYTES);
    this.places = new ContentPlaces(mostFiles);
    this.undecided = new Uint32Array(mostFiles * UNDECIDED_NUMBERS);
  }

  /** Returns memory for a parcel: `known` if it is large enough, which is freed otherwise. */
  static for(parcel: ParcelInput, known: ParcelMemory | undefined): ParcelMemory {
    if (known === undefined) return new ParcelMemory(parcel.contentBytes, parcel.rows.length);
    if (known.fits(parcel)) {
      known.places.count = 0;
      return known;
    }
    // It grows in large steps, since the system clears each page of new memory at its first use.
    const contentBytes = Math.ceil(parcel.contentBytes / STEP_BYTES) * STEP_BYTES;
    const larger = [
      Math.max(contentBytes, known.contents.length),
      Math.max(parcel.rows.length, known.rowBytes),
    ] as const;
    known.release();
    return new ParcelMemory(...larger);
  }

  /** Frees the memory at once. */
  release(): void {
    const { contents, out, digests, places, undecided } = this;
    releaseAll([contents, out, digests, places.bytes, bytesOf(undecided)]);
  }

  private fits({ contentBytes, rows }: ParcelInput): boolean {
    return contentBytes <= this.contents.length && rows.length <= this.rowBytes;
  }
}
