/**
 * Delta of one large file. It determines whether there is a basis, whether the file and the basis have common data,
 * and whether a delta still pays. A part of a large file is compared with the range of the basis around its place, in short
 * blocks. If much of it is new there, this part and later ones are compared with the whole basis. Its signature is in memory
 * once for all threads.
 */
import {
  loadedBytesFor,
  MAX_BLOCKS,
  blockBytesFor,
  type LoadedSignature,
  MAX_END_BYTES,
  rangeAround,
  RangeEnd,
  SAMPLED_FROM_BYTES,
  type SignedRange,
} from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import type { Credit } from '../system/index.js';
import type { DeltaRequest, JobRunner } from '../workers/index.js';
import type { OfferedBasis, SignatureSink } from './peer.js';

/** Maximum memory of all loaded signatures; enough for the largest signature. */
export const MAX_LOADED_BYTES: number = loadedBytesFor(MAX_BLOCKS);
/**
 * Minimum number of bytes of a part within which a delta must pay. The number for a file is the larger of a quarter of
 * its size, but at most 4 MiB, and an eighth of its size, but at most 16 MiB. It is never less than this constant.
 */
const MIN_EVIDENCE_BYTES = 1 << 20;
const QUARTER_UP_TO_BYTES = 4 << 20;
const EIGHTH_UP_TO_BYTES = 16 << 20;
/** Minimum of that number after deltas of parts did not pay. Each of these parts halves the number. */
const LEAST_EVIDENCE_BYTES = 128 << 10;

/** Percentage of new bytes above which a part is compared with the whole basis too. */
const MOST_NEW_NEAR_PERCENT = 20;

/** The loaded signature of a range. Must be closed. */
export interface NearSums {
  readonly signature: LoadedSignature;
  close(): void;
}

interface DeltaOptions {
  /** Limits the memory of signatures. */
  readonly signatureBytes: Credit;
  /** Limits the memory of signatures of ranges; undefined if the server makes none. */
  readonly rangeBytes: Credit | undefined;
  /** True if the server may have the file itself. The signature is then fetched when a part turns out to be new. */
  readonly mayBeSame: boolean;
}

export class FileDelta {
  /** Number of parts for which a delta did not pay. */
  dropped = 0;
  /** True if a part was not found around its place. */
  private isMoved = false;
  private readonly signature: LoadedSignature;
  private fetched: Promise<boolean> | undefined;
  /** Resolves with the end of the last range that was wanted; the next range begins with it. */
  private lastEnd: Promise<RangeEnd | undefined> = Promise.resolve(undefined);

  private constructor(
    readonly offer: OfferedBasis,
    private readonly jobs: JobRunner,
    /** Undefined if parts are compared with the whole basis only. */
    private readonly ranges: Credit | undefined,
    /** Returns the memory of the signature. */
    private readonly giveBack: () => void,
  ) {
    this.signature = jobs.loadSignature(offer.sizeBytes);
  }

  /** Begins the delta of a file. Returns undefined if the basis is too large for a signature; it is then released. */
  static async begin(
    offer: OfferedBasis,
    jobs: JobRunner,
    { signatureBytes: credit, rangeBytes, mayBeSame }: DeltaOptions,
  ): Promise<FileDelta | undefined> {
    const blockBytes = blockBytesFor(offer.sizeBytes);
    if (blockBytes === undefined) {
      offer.release();
      return undefined;
    }
    const ranges = isDear(offer) ? rangeBytes : undefined;
    const endBytes = ranges === undefined ? 0 : MAX_END_BYTES;
    const costBytes = loadedBytesFor(Math.ceil(offer.sizeBytes / blockBytes)) + endBytes;
    await credit.take(costBytes);
    const giveBack = (): void => credit.give(costBytes);
    try {
      const delta = new FileDelta(offer, jobs, ranges, giveBack);
      if (!mayBeSame && ranges === undefined) delta.isReady().catch(() => undefined); // rejects where it is awaited
      return delta;
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** Resolves when the signature is loaded; true if it can be used. */
  isReady(): Promise<boolean> {
    this.fetched ??= this.offer.fetch(false, takerOf(this.signature));
    return this.fetched;
  }

  /** True if the server has to read the basis for a signature, so that it pays to find the parts that are unchanged. */
  get isDear(): boolean {
    return isDear(this.offer);
  }

  /**
   * Loads the signature of the basis around the place of a part. Resolves with undefined if the part is to be compared with
   * the whole basis.
   */
  async near(partAt: number, partBytes: number): Promise<NearSums | undefined> {
    const { jobs, offer, ranges: credit } = this;
    const range = rangeAround(offer.sizeBytes, partAt, partBytes);
    if (credit === undefined || range === undefined || this.isMoved) return undefined;
    const costBytes = loadedBytesFor(Math.ceil(range.bytes / range.blockBytes));
    await credit.take(costBytes);
    const signature = jobs.loadSignature(offer.sizeBytes, range.bytes, range.from);
    const close = (): void => {
      signature.close();
      credit.give(costBytes);
    };
    try {
      // One after the other, since each range begins with the end of the one before.
      const end = this.lastEnd.then((before) => this.fetchRange(range, signature, before));
      this.lastEnd = end.catch(() => undefined); // the error is thrown below
      if ((await end) !== undefined) return { signature, close };
    } catch (error) {
      close();
      throw error;
    }
    close();
    return undefined;
  }

  /**
   * Loads the signature of a range: what the range before shares with it, which was kept, and the rest from the server.
   * Resolves with undefined if the signature cannot be used.
   */
  private async fetchRange(
    range: SignedRange,
    signature: LoadedSignature,
    before: RangeEnd | undefined,
  ): Promise<RangeEnd | undefined> {
    const end = new RangeEnd(range, before);
    const sink = end.through(takerOf(signature));
    const isLoaded = end.rest === undefined || (await this.offer.fetchRange(end.rest, sink));
    return isLoaded ? end : undefined;
  }

  /** Takes notice of a part for which a delta did not pay, on what is near its place if `wasNear`. */
  drop(wasNear: boolean): void {
    if (wasNear) this.isMoved = true;
    else this.dropped += 1;
  }

  /** Returns the delta request for a part of this length, on what is near its place or on the whole basis. */
  request(partBytes: number, fileBytes: number, near?: NearSums): DeltaRequest {
    const { mostPercent } = this.offer;
    const evidence = Math.max(
      MIN_EVIDENCE_BYTES,
      Math.min(QUARTER_UP_TO_BYTES, fileBytes / 4),
      Math.min(EIGHTH_UP_TO_BYTES, fileBytes / 8),
    );
    const sooner = evidence / 2 ** this.dropped;
    const whole = {
      signature: (near?.signature ?? this.signature).number,
      mostNewBytes: (partBytes * mostPercent) / 100,
      mostNewPercent: mostPercent,
      evidenceBytes: Math.max(LEAST_EVIDENCE_BYTES, sooner),
    };
    if (near === undefined) return whole;
    // Data that moved is sent in vain until this is clear, so it becomes clear soon.
    const mostNewBytes = (partBytes * Math.min(MOST_NEW_NEAR_PERCENT, mostPercent)) / 100;
    const evidenceBytes = Math.min(whole.evidenceBytes, QUARTER_UP_TO_BYTES);
    return { ...whole, mostNewBytes, evidenceBytes };
  }

  close(): void {
    this.offer.release();
    this.signature.close();
    this.giveBack();
  }
}

/** True if the server must first make the signature, and this takes a long time. */
export function isDear({ hasSignature, sizeBytes }: OfferedBasis): boolean {
  return !hasSignature && sizeBytes > SAMPLED_FROM_BYTES;
}

/** Returns a sink that loads the pieces of a signature. The sink returns false if the signature is damaged. */
export function takerOf(signature: LoadedSignature): SignatureSink {
  return (bytes, isLast) => {
    try {
      signature.push(bytes, isLast);
      return true;
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
      return false;
    }
  };
}
