/** The call of the native addon that reads many files for a backup. */
export interface GatheringCalls {
  /**
   * Reads files of a directory from `cursor` on to `contents`, one after another, writes the SHA-256 of each, keyed if
   * `key` is not empty, to `digests`, and its row with that digest to `out`. A content whose digest is in `recent` (the
   * memory of SharedDigests) is not kept; with `isKept`, other digests are added there.
   *
   * `places` has, for as many contents as it has 17 bytes, an array each of starts, sizes, kinds and offsets of rows (32
   * bits), then one of bytes: 1 if the content is stored raw. That depends on `rawEndings`, each in lower case between
   * two NUL, and on `rawBelowBytes`. The numbers of `cursor`, the bytes of a Float64Array, are those of GatherCursor.
   *
   * The call ends before the first entry that needs a decision: it is no file with contents, differs from its row or
   * changed while it was read, has holes or may have attributes, does not fit, or an error occurred. It throws only if
   * an argument is malformed.
   */
  readFiles(
    dirFd: number,
    rows: Uint8Array,
    contents: Uint8Array,
    digests: Uint8Array,
    out: Uint8Array,
    places: Uint8Array,
    recent: Uint8Array,
    key: Uint8Array,
    rawEndings: Uint8Array,
    cursor: Uint8Array,
  ): void;
}

/** Indexes into the Float64Array of the `cursor` of `readFiles`. */
export const GatherCursor = Object.freeze({
  /** Offset of the next row. */
  rowOffset: 0,
  /** Offset after the last row. */
  end: 1,
  contentOffset: 2,
  /** Number of contents in `places`. */
  contents: 3,
  outOffset: 4,
  rawBelowBytes: 5,
  isKept: 6,
  /** Number of files that the call read. */
  files: 7,
  /** Number of these files whose digest is in `recent`. */
  repeats: 8,
  readBytes: 9,
  /** Latest ctime of these files in nanoseconds, rounded to a float. */
  lastChange: 10,
  numbers: 11,
});
