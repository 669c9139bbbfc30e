/**
 * Delta of one large file. It determines whether there is a basis, whether the file and the basis have common data,
 * and whether a delta still pays. All parts of the file are compared with the whole basis. The basis' signature is in
 * memory once for all threads.
 */
import {
  loadedBytesFor,
  MAX_BLOCKS,
  blockBytesFor,
  type LoadedSignature,
  SAMPLED_FROM_BYTES,
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

interface DeltaOptions {
  /** Limits the memory of signatures. */
  readonly signatureBytes: Credit;
  /** True if the server may have the file itself. The signature is then fetched when a part turns out to be new. */
  readonly mayBeSame: boolean;
}

export class FileDelta {
  /** Number of parts for which a delta did not pay. */
  dropped = 0;
  private readonly signature: LoadedSignature;
  private fetched: Promise<boolean> | undefined;

  private constructor(
    readonly offer: OfferedBasis,
    jobs: JobRunner,
    private readonly credit: Credit,
    private readonly costBytes: number,
  ) {
    this.signature = jobs.loadSignature(offer.sizeBytes);
  }

  /** Begins the delta of a file. Returns undefined if the basis is too large for a signature; it is then released. */
  static async begin(
    offer: OfferedBasis,
    jobs: JobRunner,
    { signatureBytes: credit, mayBeSame }: DeltaOptions,
  ): Promise<FileDelta | undefined> {
    const blockBytes = blockBytesFor(offer.sizeBytes);
    if (blockBytes === undefined) {
      offer.release();
      return undefined;
    }
    const costBytes = loadedBytesFor(Math.ceil(offer.sizeBytes / blockBytes));
    await credit.take(costBytes);
    try {
      const delta = new FileDelta(offer, jobs, credit, costBytes);
      if (!mayBeSame) delta.isReady().catch(() => undefined); // rejects where it is awaited
      return delta;
    } catch (error) {
      credit.give(costBytes);
      throw error;
    }
  }

  /** Resolves when the signature is loaded; true if it can be used. */
  isReady(): Promise<boolean> {
    this.fetched ??= this.offer.fetch(false, takerOf(this.signature));
    return this.fetched;
  }

  /** True if the server still has to make the signature, so the file can be hashed in the meantime. */
  get isMadeMeanwhile(): boolean {
    return isDear(this.offer);
  }

  /** Returns the delta request for a part of this length. */
  request(partBytes: number, fileBytes: number): DeltaRequest {
    const { mostPercent } = this.offer;
    const evidence = Math.max(
      MIN_EVIDENCE_BYTES,
      Math.min(QUARTER_UP_TO_BYTES, fileBytes / 4),
      Math.min(EIGHTH_UP_TO_BYTES, fileBytes / 8),
    );
    const sooner = evidence / 2 ** this.dropped;
    return {
      signature: this.signature.number,
      mostNewBytes: (partBytes * mostPercent) / 100,
      mostNewPercent: mostPercent,
      evidenceBytes: Math.max(LEAST_EVIDENCE_BYTES, sooner),
    };
  }

  close(): void {
    this.offer.release();
    this.signature.close();
    this.credit.give(this.costBytes);
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
