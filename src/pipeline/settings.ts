/** Settings of the pipeline. */
import type { CipherChoice } from '../excludes/index.js';
import type { Compression } from '../store/index.js';
import type { RawRules } from '../workers/index.js';

/** Limits of parcels and frames that are the same on all machines. */
export const FIXED_LIMITS: Pick<PipelineSettings, 'parcelFiles' | 'smallBytes'> = Object.freeze({
  parcelFiles: 512,
  smallBytes: 128 << 10,
});

export interface PipelineSettings {
  readonly workers: number;
  readonly budgetBytes: number;
  /** Maximum number of bytes added to the budget on a link with long round trips. */
  readonly linkBudgetBytes?: number;
  readonly budgetItems: number;
  /** Maximum number of files in one parcel. */
  readonly parcelFiles: number;
  readonly parcelBytes: number;
  readonly frameBytes: number;
  /** Files up to this size share frames. */
  readonly smallBytes: number;
  readonly changeLevel: number;
  readonly changeFrameBytes: number;
  readonly changeBytes: number;
  readonly walkConcurrency: number;
  readonly compareConcurrency: number;
  readonly sendConcurrency: number;
  /**
   * Number of parcels read at once. For this and the next three settings, 0 chooses a number that fits the workers.
   */
  readonly readConcurrency: number;
  readonly buildConcurrency: number;
  readonly streamConcurrency: number;
  readonly largeConcurrency: number;
  readonly compression: Compression;
  readonly rawRules?: RawRules;
  /** The user's choice of encryption schemes, if the client encrypts. */
  readonly cipherChoice?: CipherChoice | undefined;
  readonly checksumAboveBytes?: number;
  readonly sendSignatures?: boolean;
}
