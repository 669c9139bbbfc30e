/** What of the pipeline can be tuned. */
import type { CryptWish } from '../excludes/index.js';
import type { Compression } from '../store/index.js';
import type { RawRules } from '../workers/index.js';

export interface PipelineSettings {
  readonly workers: number;
  readonly budgetBytes: number;
  /** So much more on a link with a long way. */
  readonly linkBudgetBytes?: number;
  readonly budgetItems: number;
  readonly parcelFiles: number;
  readonly parcelBytes: number;
  readonly frameBytes: number;
  readonly smallBytes: number;
  readonly changeLevel: number;
  readonly changeFrameBytes: number;
  readonly changeBytes: number;
  readonly walkConcurrency: number;
  /** 0 stands for a number that fits the workers. */
  readonly hashConcurrency: number;
  readonly compressConcurrency: number;
  readonly streamConcurrency: number;
  readonly compression: Compression;
  readonly rawRules?: RawRules;
  /** What contents are encrypted with, where the client encrypts. */
  readonly cryptWish?: CryptWish | undefined;
  readonly checksumAboveBytes?: number;
  readonly sendSignatures?: boolean;
}
