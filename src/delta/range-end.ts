/**
 * The signature of a range of a basis, pieced together. The ranges around two parts in turn overlap by two margins: the
 * sums of these blocks are kept, and are not sent again.
 */
import {
  LEAST_RANGE_BLOCK_BYTES,
  RANGE_MARGIN_BYTES,
  SIGNATURE_HEADER_BYTES,
  type SignedRange,
  SUM_BYTES,
} from './signature.js';

const KEPT_BYTES = 2 * RANGE_MARGIN_BYTES;
/** Maximum memory of what is kept of a range. */
export const MAX_END_BYTES: number =
  SIGNATURE_HEADER_BYTES + (KEPT_BYTES / LEAST_RANGE_BLOCK_BYTES) * SUM_BYTES;

/** Takes the next bytes of a signature. Returns false if no more are wanted. */
type Sink = (bytes: Buffer, isLast: boolean) => boolean;

export class RangeEnd {
  /** The part of the range that must be fetched; undefined if the range before has all of it. */
  readonly rest: SignedRange | undefined;
  /** The header of the signature, and its last sums. */
  private readonly kept: Buffer;
  /** The place in the basis of the first block whose sum is kept. */
  private readonly keptFrom: number;
  private readonly sumsBytes: number;
  /** The header and what the range before has of this one, until it was put into a sink. */
  private known: Buffer | undefined;
  private seenBytes = 0;

  /** `before` is the end of the range that was fetched before, if one was. */
  constructor(
    private readonly range: SignedRange,
    before: RangeEnd | undefined,
  ) {
    const { from, bytes, blockBytes } = range;
    const blocks = Math.ceil(bytes / blockBytes);
    const keptBlocks = Math.min(blocks, KEPT_BYTES / blockBytes);
    this.sumsBytes = blocks * SUM_BYTES;
    this.kept = Buffer.alloc(SIGNATURE_HEADER_BYTES + keptBlocks * SUM_BYTES);
    this.keptFrom = from + (blocks - keptBlocks) * blockBytes;
    const restFrom = before?.toBytes ?? 0;
    const isKnown = before !== undefined && from >= before.keptFrom && from < restFrom;
    const restBytes = this.toBytes - restFrom;
    this.known = isKnown ? before.sumsFrom(from) : undefined;
    if (!isKnown) this.rest = range;
    else if (restBytes > 0) this.rest = { ...range, from: restFrom, bytes: restBytes };
  }

  /**
   * Puts what is known into `sink`, and returns a sink for the signature of the rest, whose header it drops. If there is
   * no rest, `sink` has all.
   */
  through(sink: Sink): Sink {
    const { known } = this;
    this.known = undefined;
    if (known === undefined) return (bytes, isLast) => this.take(bytes) && sink(bytes, isLast);
    let isTaken = this.take(known) && sink(known, this.rest === undefined);
    let headBytes = SIGNATURE_HEADER_BYTES;
    return (bytes, isLast) => {
      const sums = bytes.subarray(headBytes);
      headBytes -= bytes.length - sums.length;
      isTaken &&= this.take(sums) && sink(sums, isLast);
      return isTaken;
    };
  }

  /** Returns the signature of the blocks from this place of the basis on; they are kept. */
  private sumsFrom(from: number): Buffer {
    const head = this.kept.subarray(0, SIGNATURE_HEADER_BYTES);
    const skipped = ((from - this.keptFrom) / this.range.blockBytes) * SUM_BYTES;
    return Buffer.concat([head, this.kept.subarray(head.length + skipped)]);
  }

  private get toBytes(): number {
    return this.range.from + this.range.bytes;
  }

  /** Keeps what belongs to the header and the end. Returns false for bytes beyond the range. */
  private take(bytes: Buffer): boolean {
    const { kept, seenBytes, sumsBytes } = this;
    const wholeBytes = SIGNATURE_HEADER_BYTES + sumsBytes;
    this.seenBytes += bytes.length;
    if (this.seenBytes > wholeBytes) return false;
    if (seenBytes < SIGNATURE_HEADER_BYTES) {
      bytes.copy(kept, seenBytes, 0, SIGNATURE_HEADER_BYTES - seenBytes);
    }
    const cutBytes = wholeBytes - kept.length;
    const firstBytes = cutBytes + SIGNATURE_HEADER_BYTES;
    const skipped = Math.max(0, firstBytes - seenBytes);
    if (skipped < bytes.length) bytes.copy(kept, seenBytes + skipped - cutBytes, skipped);
    return true;
  }
}
