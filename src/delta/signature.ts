/**
 * Signatures: checksums of a content's blocks. With them a delta on the content can be computed without the
 * content. The format is librsync's (magic "rs\x01G": Rabin-Karp rolling sums, strong BLAKE2 sums): a header
 * of 12 bytes, then 20 bytes for each block.
 */
import { recordDamaged } from '../errors/index.js';
import { BytesBuilder } from '../model/index.js';
import { type RsyncCalls, RsyncStatus } from '../system/index.js';
import { RsyncJob } from './rsync-job.js';

export const SIGNATURE_HEADER_BYTES = 12;
/**
 * Number of bytes of a strong sum. Nobody can forge a collision of 16 bytes; a server without the keys could not detect
 * one.
 */
const STRONG_BYTES = 16;
export const SUM_BYTES: number = 4 + STRONG_BYTES;
/** Maximum number of sums for one content. */
export const MAX_BLOCKS: number = 1 << 19;
/** Maximum length of a block. Contents with more than MAX_BLOCKS blocks of this size (32 TiB) have no signature. */
const MAX_BLOCK_BYTES: number = 64 << 20;
export const MAX_SIGNATURE_BYTES: number = SIGNATURE_HEADER_BYTES + MAX_BLOCKS * SUM_BYTES;

/** Minimum size of a content for a delta. A smaller content is sent whole, which is quicker than comparing it. */
export const LEAST_DELTA_BYTES: number = 1 << 20;

/** Maximum size of a content with short blocks, which cost little there and find more matches. */
const SMALL_CONTENT_BYTES = 16 << 20;
const SMALL_BLOCK_BYTES = 1024;
const BLOCK_BYTES = 2048;
/** Maximum multiple of the length of blocks that suits scattered changes. */
const LONGER = 8;

/** Memory of the index of a loaded signature: a table that is at most half full, and a filter (block-sums.cc). */
const SLOT_BYTES = 8;
const FILTER_BYTES_OF_BLOCK = 8;
const LEAST_FILTER_BYTES = 8 << 10;
const MOST_FILTER_BYTES = 1 << 20;

/**
 * Returns the block length for a content. It is a power of two, so that parts of contents consist of whole blocks: the
 * sums of the parts are those of the whole. Returns undefined if the content would need too many sums.
 */
export function blockBytesFor(sizeBytes: number): number | undefined {
  if (sizeBytes <= SMALL_CONTENT_BYTES) return SMALL_BLOCK_BYTES;
  let blockBytes = BLOCK_BYTES;
  while (blockBytes * MAX_BLOCKS < sizeBytes) blockBytes *= 2;
  return blockBytes <= MAX_BLOCK_BYTES ? blockBytes : undefined;
}

/** Returns a length of blocks for the signature of a content of which few places change; any reader takes such a one. */
export function longerBlocks(blockBytes: number): number {
  return Math.min(LONGER * blockBytes, Math.max(LEAST_BLOCK_CAP_BYTES, 2 * blockBytes));
}

/** Returns the length of a signature in bytes. */
export function signatureBytesFor(sizeBytes: number, blockBytes: number): number {
  return SIGNATURE_HEADER_BYTES + Math.ceil(sizeBytes / blockBytes) * SUM_BYTES;
}

/** Returns the memory that a signature of this many blocks takes when it is loaded and indexed. */
export function loadedBytesFor(blocks: number): number {
  const places = 2 ** Math.max(1, Math.ceil(Math.log2(blocks)));
  const filterBytes = Math.max(LEAST_FILTER_BYTES, places * FILTER_BYTES_OF_BLOCK);
  return blocks * SUM_BYTES + 2 * places * SLOT_BYTES + Math.min(MOST_FILTER_BYTES, filterBytes);
}

/** Computes a signature of the pushed bytes. Must be closed. */
export class SignatureMaker implements Disposable {
  private readonly job: RsyncJob;
  private readonly made: BytesBuilder;

  /** Creates the maker. `sizeHintBytes` is the approximate number of bytes that will be pushed. */
  constructor(native: RsyncCalls, blockBytes: number, sizeHintBytes: number) {
    this.job = new RsyncJob(native, 'a signature cannot be made', () =>
      native.rsyncSignature(blockBytes, STRONG_BYTES),
    );
    this.made = new BytesBuilder(signatureBytesFor(sizeHintBytes, blockBytes) + STEP_BYTES);
  }

  push(bytes: Uint8Array): void {
    this.drive(bytes, false);
  }

  get madeBytes(): number {
    return this.made.length;
  }

  /** Returns the bytes of the signature produced since the last call. */
  take(): Buffer {
    return this.made.take();
  }

  /** Returns the rest of the signature; all of it if `take` was not called. */
  finish(): Buffer {
    this.drive(Buffer.alloc(0), true);
    return this.made.take();
  }

  close(): void {
    this.job.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private drive(input: Uint8Array, isLast: boolean): void {
    for (let at = 0; ; ) {
      const { buffer, at: outAt } = this.made.reserve(STEP_BYTES);
      const status = this.job.step(
        { bytes: input, at, isLast },
        { target: buffer.subarray(0, outAt + STEP_BYTES), at: outAt },
      );
      const { putBytes } = this.job;
      this.made.commit(putBytes);
      at += this.job.takenBytes;
      if (status === RsyncStatus.done || (at === input.length && putBytes < STEP_BYTES)) return;
    }
  }
}

/**
 * Minimum size of a basis for which a sample of the signature is sent first. For a smaller basis, the whole signature
 * is computed and sent at once.
 */
export const SAMPLED_FROM_BYTES: number = 16 << 20;

/** Maximum number of pieces in a sample of a signature. */
const SAMPLE_PLACES = 256;
/** Number of blocks in each piece of a sample. */
const SAMPLE_BLOCKS = 8;

/**
 * Returns the positions (`places`) of the pieces of a sample, and the size of each piece (`bytes`). Pieces are whole
 * blocks, and begin every `spacingBytes` bytes. Any range that is longer than `spacingBytes` plus one piece contains a
 * whole piece.
 */
export function samplePlaces(
  sizeBytes: number,
  blockBytes: number,
): { places: number[]; bytes: number; spacingBytes: number } {
  const bytes = SAMPLE_BLOCKS * blockBytes;
  const blocks = Math.ceil(sizeBytes / SAMPLE_PLACES / blockBytes);
  const spacingBytes = Math.max(blocks * blockBytes, bytes);
  const places: number[] = [];
  for (let at = 0; at + bytes <= sizeBytes; at += spacingBytes) places.push(at);
  return { places, bytes, spacingBytes };
}

/** A range of a basis, and the length of its blocks. */
export interface SignedRange {
  readonly from: number;
  readonly bytes: number;
  readonly blockBytes: number;
}

/** Number of bytes before and behind the place of a part within which its data is found in short blocks. */
export const RANGE_MARGIN_BYTES = 8 << 20;
/** Limits of short blocks, and the number of them in a basis between these limits. */
export const LEAST_RANGE_BLOCK_BYTES = 512;
const MOST_RANGE_BLOCK_BYTES = 4096;
const RANGE_BLOCKS = 1 << 21;
/** Maximum number of bytes of a range: a part of a file with its margins. */
const MAX_RANGE_BYTES = (64 << 20) + 2 * RANGE_MARGIN_BYTES;
/** Maximum memory of the loaded signature of a range. */
export const MAX_RANGE_LOADED_BYTES: number = loadedBytesFor(
  MAX_RANGE_BYTES / LEAST_RANGE_BLOCK_BYTES,
);

/**
 * Returns the range of a basis around the place of a part, in blocks that are shorter than those of the whole basis; undefined
 * if the basis has nothing there.
 */
export function rangeAround(
  basisBytes: number,
  partAt: number,
  partBytes: number,
): SignedRange | undefined {
  let blockBytes = LEAST_RANGE_BLOCK_BYTES;
  while (blockBytes < MOST_RANGE_BLOCK_BYTES && blockBytes * RANGE_BLOCKS < basisBytes)
    blockBytes *= 2;
  const from = Math.max(0, partAt - RANGE_MARGIN_BYTES);
  const bytes = Math.min(basisBytes, partAt + partBytes + RANGE_MARGIN_BYTES) - from;
  return bytes > 0 ? { from, bytes, blockBytes } : undefined;
}

/** True if a range, which may be hostile, is one of a basis of this length. */
export function isRangeOf(basisBytes: number, { from, bytes, blockBytes }: SignedRange): boolean {
  const isBlock = Math.log2(blockBytes) % 1 === 0 && blockBytes >= LEAST_RANGE_BLOCK_BYTES;
  const isWithin = bytes > 0 && bytes <= MAX_RANGE_BYTES && from + bytes <= basisBytes;
  return isBlock && isWithin && blockBytes <= MOST_RANGE_BLOCK_BYTES;
}

const STEP_BYTES = 16 << 10;
/** Block length that is always allowed in signatures made by other programs, whatever the size of the content. */
const LEAST_BLOCK_CAP_BYTES = 64 << 10;

/** A signature of a basis, in memory that all threads share. Must be closed. */
export class LoadedSignature {
  private readonly job: RsyncJob;
  private isWhole = false;

  /**
   * Creates an empty signature. `basisBytes` is the length of the content that was signed, which limits the signature.
   * `signedBytes` is the length of the signed part of that content, which is less for a sample, or for a range from `from` on.
   */
  constructor(native: RsyncCalls, basisBytes: number, signedBytes = basisBytes, from = 0) {
    // A delta job reads some blocks ahead.
    const mostBlockBytes = Math.max(LEAST_BLOCK_CAP_BYTES, 2 * (blockBytesFor(basisBytes) ?? 0));
    this.job = new RsyncJob(native, 'a signature cannot be used', () =>
      native.rsyncLoad(signedBytes, MAX_BLOCKS, mostBlockBytes, from),
    );
  }

  /** The number of this signature for delta jobs of any thread. Throws RECORD_DAMAGED while it is incomplete. */
  get number(): number {
    if (!this.isWhole) throw recordDamaged('a signature is incomplete');
    return this.job.number;
  }

  /**
   * Takes the next bytes of the signature. Throws RECORD_DAMAGED if it is malformed, or does not have one sum for each
   * block of the signed content: a delta would copy ranges that the basis does not have.
   */
  push(bytes: Uint8Array, isLast: boolean): void {
    this.job.step({ bytes, at: 0, isLast });
    this.isWhole = isLast;
  }

  close(): void {
    this.job.close();
  }
}

/** Joins the signatures of a content's parts, in order; all have blocks of the same length. */
export class SignatureJoin {
  private isBegun = false;

  /** Returns the part of the next signature to append to the joined signature. */
  next(signature: Uint8Array): Uint8Array {
    const from = this.isBegun ? SIGNATURE_HEADER_BYTES : 0;
    this.isBegun = true;
    return signature.subarray(from);
  }
}
