/**
 * The calls of the native addon for librsync: signatures, deltas and patches in pieces. A job is known
 * by a number, may be stepped by any thread (one at a time), and stays until it is closed. Formats are
 * those of librsync, which the command `rdiff` reads and writes. What librsync refuses is an error with
 * the code `ERSYNC` (errno 0) and its reason as the text; the job is over then. EBADF: no such job;
 * EMFILE: 1,024 are open; EINVAL: an argument out of its range, or a job that is over.
 */
export const RsyncStatus = Object.freeze({
  /** Give it more input, or more room for output. */
  more: 0,
  done: 1,
  /** A patch: read `wantedBytes` of the basis at `wantedAt` to where the output stands. */
  wantsBasis: 2,
});
export type RsyncStatusNumber = (typeof RsyncStatus)[keyof typeof RsyncStatus];

/** Places in the numbers that `rsyncStep` tells. */
export const RsyncFigure = Object.freeze({
  /** Bytes taken from the input, and put to the output, by this step. */
  taken: 0,
  put: 1,
  wantedAt: 2,
  wantedBytes: 3,
  /** Commands of a delta so far, bytes that are not in the basis, and bytes that are. */
  commands: 4,
  literalBytes: 5,
  copiedBytes: 6,
});
export const RSYNC_FIGURES = 7;

export interface RsyncCalls {
  /**
   * Makes the signature of what is put in: rolling sums by Rabin and Karp, strong sums (BLAKE2) of 16
   * to 32 bytes. Blocks have at most 64 MiB.
   */
  rsyncSignature(blockBytes: number, strongBytes: number): number;
  /**
   * Takes a signature in, which may be hostile: it is refused before memory is taken for more than
   * `mostBlocks` sums, for longer blocks, for strong sums other than BLAKE2 or of less than 16 bytes.
   */
  rsyncLoad(mostBlocks: number, mostBlockBytes: number): number;
  /** Makes the delta of what is put in on the content whose signature a finished job has loaded. */
  rsyncDelta(loaded: number): number;
  /** Makes a content of its delta and a basis of this length; copies from outside of it are refused. */
  rsyncPatch(basisBytes: number): number;
  /**
   * Goes on with a job as far as input and room allow. `isLast`: nothing comes behind this input.
   * `givenBytes`: so many of the wanted bytes of the basis stand at `outputAt`. `figures` has room for
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
  /** Frees a job. A loaded signature stays until the deltas on it are closed too. */
  rsyncClose(job: number): void;
}
