/**
 * The delta stage, for one large file: is there a basis, has the file anything in common with it, and does
 * a delta on it still pay? All parts of the file are compared with the whole basis, whose signature is in
 * memory once for all threads.
 */
import {
  MAX_BLOCKS,
  samplePlaces,
  blockBytesFor,
  type LoadedSignature,
  SAMPLED_FROM_BYTES,
} from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import type { Credit } from '../transport/index.js';
import type { DeltaRequest, JobRunner } from '../workers/index.js';
import type { OfferedBasis } from './peer.js';

/** A sum takes 20 bytes, and up to 24 in the index. */
const LOADED_SUM_BYTES = 44;
/** Signatures in memory at once; the largest has this. */
export const MAX_LOADED_BYTES: number = MAX_BLOCKS * LOADED_SUM_BYTES;
/** Stretches of a file that are compared with a sample. */
const SNIFFED_PLACES = 3;
/** A delta must show that it pays within a part of its file: a quarter up to 4 MiB, an eighth up to 16, */
const MIN_EVIDENCE_BYTES = 1 << 20;
const QUARTER_UP_TO_BYTES = 4 << 20;
const EIGHTH_UP_TO_BYTES = 16 << 20;
/** in half of that after each part that did not, but not in less than this. */
const LEAST_EVIDENCE_BYTES = 128 << 10;
/** Making a delta may take so much longer than sending what it is made of, */
const FAR_LONGER = 16;
/** and this, because the first part takes the time of indexing too. */
const PATIENCE_MS = 5000;

/** What is read of a file. */
export interface DeltaSource {
  readonly directoryPath: Uint8Array;
  readonly row: Uint8Array;
  readonly sparseHead: Uint8Array | undefined;
  readonly formBytes: number;
}

export class FileDelta {
  /** Resolves when the signature is loaded: whether it can be used. */
  readonly isReady: Promise<boolean>;
  /** Parts that were not worth a delta. */
  dropped = 0;
  private readonly signature: LoadedSignature;
  private readonly costBytes: number;
  private readonly credit: Credit;
  readonly offer: OfferedBasis;

  private constructor(offer: OfferedBasis, jobs: JobRunner, credit: Credit, costBytes: number) {
    this.offer = offer;
    this.credit = credit;
    this.costBytes = costBytes;
    this.signature = jobs.loadSignature(offer.sizeBytes);
    this.isReady = offer.fetch(false, takerOf(this.signature));
    this.isReady.catch(() => undefined); // shows where it is waited for
  }

  /**
   * Undefined when the file is better sent whole. What was offered for it is given back then, and the
   * memory too. `credit` is for signatures in memory.
   */
  static async begin(
    offer: OfferedBasis,
    source: DeltaSource,
    jobs: JobRunner,
    credit: Credit,
  ): Promise<FileDelta | undefined> {
    const blockBytes = blockBytesFor(offer.sizeBytes);
    if (blockBytes === undefined) {
      offer.release();
      return undefined;
    }
    const costBytes = Math.ceil(offer.sizeBytes / blockBytes) * LOADED_SUM_BYTES;
    await credit.take(costBytes);
    try {
      if (isDear(offer) && !(await hasCommon(offer, source, jobs, blockBytes))) {
        offer.release();
        credit.give(costBytes);
        return undefined;
      }
      return new FileDelta(offer, jobs, credit, costBytes);
    } catch (error) {
      credit.give(costBytes);
      throw error;
    }
  }

  /** The server still has to make the signature: there is time to read the file meanwhile. */
  get isMadeMeanwhile(): boolean {
    return isDear(this.offer);
  }

  /** For a part of this length; `sendMsPerByte`: what sending took so far, undefined if unknown. */
  request(partBytes: number, fileBytes: number, sendMsPerByte: number | undefined): DeltaRequest {
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
      mostMs: PATIENCE_MS + FAR_LONGER * (sendMsPerByte ?? Infinity) * partBytes,
    };
  }

  close(): void {
    this.offer.release();
    this.signature.close();
    this.credit.give(this.costBytes);
  }
}

/** Whether the server makes the signature when it is wanted, and that takes long. */
function isDear({ hasSignature, sizeBytes }: OfferedBasis): boolean {
  return !hasSignature && sizeBytes > SAMPLED_FROM_BYTES;
}

/** Hands the pieces of a signature on; false when it makes no sense. */
function takerOf(signature: LoadedSignature): (bytes: Buffer, isLast: boolean) => boolean {
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

/** Whether some stretch of the file is in the basis, as far as a sample tells. */
async function hasCommon(
  offer: OfferedBasis,
  { directoryPath, row, sparseHead, formBytes }: DeltaSource,
  jobs: JobRunner,
  blockBytes: number,
): Promise<boolean> {
  const sample = samplePlaces(offer.sizeBytes, blockBytes);
  const signature = jobs.loadSignature(offer.sizeBytes, sample.places.length * sample.bytes);
  try {
    if (!(await offer.fetch(true, takerOf(signature)))) return false;
    const bytes = sample.spacingBytes + 2 * sample.bytes;
    const places = Array.from({ length: SNIFFED_PLACES }, (_, index) => {
      const middle = ((index + 0.5) * formBytes) / SNIFFED_PLACES;
      // Where the file has not moved, the first block will do.
      return Math.floor(middle / sample.spacingBytes) * sample.spacingBytes;
    });
    const { output } = await jobs.run('sniff', {
      directoryPath,
      row,
      sparseHead,
      signature: signature.number,
      places,
      bytes,
    });
    return output.failure === '' && output.isSimilar;
  } finally {
    signature.close();
  }
}
