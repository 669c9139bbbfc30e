/**
 * Signatures: the sums of a content's blocks, from which a delta on it is made without it. The format
 * is librsync's (magic "rs\x01G": rolling sums by Rabin and Karp, strong sums by BLAKE2): a header of
 * 12 bytes, then 20 bytes for each block.
 */
import { TardisError } from '../errors/index.js';
import { BytesBuilder } from '../model/index.js';
import { type RsyncCalls, RsyncStatus } from '../system/index.js';
import { RsyncJob } from './rsync-job.js';

export const SIGNATURE_HEADER_BYTES = 12;
/** Sums of 16 bytes cannot be made to collide, and a store that encrypts could not notice. */
export const STRONG_BYTES = 16;
export const SUM_BYTES: number = 4 + STRONG_BYTES;
/** Sums of one content. Loaded and indexed they take at most 44 bytes each: 22 MiB. */
export const MAX_BLOCKS: number = 1 << 19;
/** Contents beyond so many blocks of this size have no signature (16 TiB). */
export const MAX_BLOCK_BYTES: number = 64 << 20;
export const MAX_SIGNATURE_BYTES: number = SIGNATURE_HEADER_BYTES + MAX_BLOCKS * SUM_BYTES;

/** A content of fewer bytes is sent whole sooner than it is compared. */
export const LEAST_DELTA_BYTES: number = 1 << 20;

/** Up to this size shorter blocks cost little and find more. */
const SMALL_CONTENT_BYTES = 16 << 20;
const SMALL_BLOCK_BYTES = 1024;
const BLOCK_BYTES = 2048;
/** Beyond so many blocks they become longer: what is loaded of them takes 11 MiB at most. */
const WANTED_BLOCKS = 1 << 18;

/**
 * Length of the blocks of a content: a power of two, so that parts of contents consist of whole blocks
 * and the sums of the parts are the sums of the whole. Undefined where it would need too many sums.
 */
export function blockBytesFor(sizeBytes: number): number | undefined {
  if (sizeBytes <= SMALL_CONTENT_BYTES) return SMALL_BLOCK_BYTES;
  let blockBytes = BLOCK_BYTES;
  while (blockBytes * WANTED_BLOCKS < sizeBytes) blockBytes *= 2;
  return blockBytes <= MAX_BLOCK_BYTES ? blockBytes : undefined;
}

/** Length of a signature in bytes. */
export function signatureBytesFor(sizeBytes: number, blockBytes: number): number {
  return SIGNATURE_HEADER_BYTES + Math.ceil(sizeBytes / blockBytes) * SUM_BYTES;
}

/** Makes a signature of what is pushed. Must be closed. */
export class SignatureMaker {
  private readonly job: RsyncJob;
  private readonly made: BytesBuilder;

  /** `sizeHintBytes`: how much will be pushed, more or less. */
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

  /** What has been made since the last time. */
  take(): Buffer {
    return this.made.take();
  }

  /** What remains of the signature, or all of it if nothing was taken before. */
  finish(): Buffer {
    this.drive(Buffer.alloc(0), true);
    return this.made.take();
  }

  close(): void {
    this.job.close();
  }

  private drive(input: Uint8Array, isLast: boolean): void {
    for (let at = 0; ; ) {
      const { buffer, at: outAt } = this.made.reserve(STEP_BYTES);
      const status = this.job.step(
        input,
        at,
        isLast,
        buffer.subarray(0, outAt + STEP_BYTES),
        outAt,
      );
      const { putBytes } = this.job;
      this.made.commit(putBytes);
      at += this.job.takenBytes;
      if (status === RsyncStatus.done || (at === input.length && putBytes < STEP_BYTES)) return;
    }
  }
}

/** The signature of a smaller basis is made and sent sooner than it is found out whether it is of use. */
export const SAMPLED_FROM_BYTES: number = 16 << 20;

/** Pieces of a content that a sample of its signature has: so many, and of so many blocks. */
const SAMPLE_PLACES = 256;
const SAMPLE_BLOCKS = 8;

/**
 * Where the pieces of a sample are: evenly spread, whole blocks. Any stretch of a content that is longer
 * than `spacingBytes` and a piece holds one of them.
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

const STEP_BYTES = 16 << 10;
/** Blocks of a signature that others made may be this long, whatever it is of. */
const LEAST_BLOCK_CAP_BYTES = 64 << 10;

/** The sums of a basis, in memory that all threads share. Must be closed. */
export class LoadedSignature {
  private readonly job: RsyncJob;
  private isWhole = false;
  private readonly header = Buffer.alloc(SIGNATURE_HEADER_BYTES);
  private bytes = 0;
  private readonly signedBytes: number;

  /**
   * `basisBytes`: length of the content it should be of, which bounds it; `signedBytes`: of what of that
   * content it is of (a sample is of less).
   */
  constructor(native: RsyncCalls, basisBytes: number, signedBytes = basisBytes) {
    this.signedBytes = signedBytes;
    const mostBlocks = Math.min(MAX_BLOCKS, signedBytes);
    // A delta job reads ahead by a block.
    const mostBlockBytes = Math.max(LEAST_BLOCK_CAP_BYTES, 2 * (blockBytesFor(basisBytes) ?? 0));
    this.job = new RsyncJob(native, 'a signature cannot be used', () =>
      native.rsyncLoad(mostBlocks, mostBlockBytes),
    );
  }

  /** What a delta job of any thread knows it by. */
  get number(): number {
    if (!this.isWhole) throw new TardisError('RECORD_DAMAGED', 'a signature is not there whole');
    return this.job.number;
  }

  /** Takes the next bytes of it. Throws RECORD_DAMAGED. */
  push(bytes: Uint8Array, isLast: boolean): void {
    const missing = this.header.length - this.bytes;
    if (missing > 0) this.header.set(bytes.subarray(0, missing), this.bytes);
    this.bytes += bytes.length;
    for (let at = 0; ; ) {
      const status = this.job.step(bytes, at, isLast);
      at += this.job.takenBytes;
      if (status === RsyncStatus.done) {
        this.checkLength();
        this.isWhole = true;
        return;
      }
      if (at === bytes.length && !isLast) return;
    }
  }

  /** With more or fewer blocks than the basis has, a delta would copy what is not there. */
  private checkLength(): void {
    const blocks = Math.ceil(this.signedBytes / this.header.readUInt32BE(4));
    const sumBytes = 4 + this.header.readUInt32BE(8);
    if (this.bytes === SIGNATURE_HEADER_BYTES + blocks * sumBytes) return;
    throw new TardisError('RECORD_DAMAGED', 'a signature cannot be used: it is of something else');
  }

  close(): void {
    this.job.close();
  }
}

/** Puts the signatures of a content's parts together, in order; all have blocks of one length. */
export class SignatureJoin {
  private isBegun = false;

  /** What of the signature of the next part belongs behind those before. */
  next(signature: Uint8Array): Uint8Array {
    const from = this.isBegun ? SIGNATURE_HEADER_BYTES : 0;
    this.isBegun = true;
    return signature.subarray(from);
  }
}
