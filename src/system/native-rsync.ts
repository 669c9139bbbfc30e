/**
 * The calls of the native addon for signatures, deltas and patches, computed piece by piece. A number identifies each job.
 * Any thread may run a step of a job, one at a time, and the job exists until it is closed. The formats are those of
 * librsync, which the command `rdiff` reads and writes. If input is malformed, a call throws an error with the code
 * `ERSYNC` (errno 0) and the reason as the text, and the job is over.
 * EBADF: no such job; EMFILE: 1,024 jobs are open; EINVAL: an argument is out of range, or the job is over.
 */
export const RsyncStatus = Object.freeze({
  /** The job needs more input, or more space for output. */
  more: 0,
  done: 1,
  /** A patch needs `neededBytes` of the basis from `neededAt` on, to be placed at the end of the output so far. */
  needsBasis: 2,
});
export type RsyncStatusNumber = (typeof RsyncStatus)[keyof typeof RsyncStatus];

/** Indices of the numbers that `rsyncStep` returns in `figures`. */
export const RsyncFigure = Object.freeze({
  /** Number of bytes that this step consumed from the input. */
  taken: 0,
  /** Number of bytes that this step wrote to the output. */
  put: 1,
  neededAt: 2,
  neededBytes: 3,
  /** Totals of a delta so far: commands, bytes that are not in the basis, and bytes that are. */
  commands: 4,
  literalBytes: 5,
  copiedBytes: 6,
});
export const RSYNC_FIGURES = 7;

export interface RsyncCalls {
  /**
   * Starts a job that computes the signature of its input: Rabin-Karp rolling sums, and strong sums (BLAKE2) of
   * 16 to 32 bytes. Blocks have at most 64 MiB.
   */
  rsyncSignature(blockBytes: number, strongBytes: number): number;
  /**
   * Starts a job that loads the signature of `signedBytes` bytes of a basis, from `from` on. It may be hostile. The job refuses
   * more than `mostBlocks` sums, longer blocks, and strong sums other than BLAKE2 or shorter than 16 bytes, all before it
   * allocates memory for them. It refuses a signature that has not one sum for each block of these bytes.
   */
  rsyncLoad(signedBytes: number, mostBlocks: number, mostBlockBytes: number, from: number): number;
  /**
   * Starts a job that computes the delta of its input, based on the signature that a finished job loaded. Returns its
   * number.
   */
  rsyncDelta(loaded: number): number;
  /**
   * Starts a job of librsync that rebuilds content from its delta and a basis of this length. Copies from outside the basis
   * are refused. Returns its number.
   */
  rsyncPatch(basisBytes: number): number;
  /**
   * Continues a job as far as input and output space allow. `isLast`: true if no input follows. `givenBytes`:
   * number of requested bytes of the basis that the caller placed at `outputAt`. `figures` must hold
   * `RSYNC_FIGURES` 64-bit numbers. Returns a RsyncStatus.
   */
  rsyncStep(
    job: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    isLast: boolean,
    output: Uint8Array,
    outputAt: number,
    givenBytes: number,
    figures: Uint8Array,
  ): number;
  /** Frees a job. A loaded signature stays in memory until the deltas that use it are closed too. */
  rsyncClose(job: number): void;
}
