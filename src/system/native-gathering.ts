/** The call of the native addon that reads many files for a backup. */
export interface GatheringCalls {
  /**
   * Reads files of a directory, one after another, from the row at `cursor` on. Puts their contents into `contents`,
   * the SHA-256 of each (keyed if `key` is not empty) into `digests`, and its row with that digest into `out`. A
   * content whose digest is in `recent` (the memory of SharedDigests) is not kept. With `isKept`, the digests of kept
   * contents are added to `recent`.
   *
   * `places` consists of five arrays with an element for each content, so that a content takes 17 bytes. Four have 32
   * bits for each: its start, its size, its kind, and the offset of its row. The last has a byte, which is 1 if the
   * content is stored raw. A content is stored raw if its file has one of `rawEndings`, which are in lower case and
   * each between two NUL, or is smaller than `rawBelowBytes`. `cursor` is the memory of a Float64Array, whose numbers
   * are those of GatherCursor.
   *
   * The call ends before the first entry that needs a decision. Such an entry is no file with contents, differs from
   * its row, changed while it was read, has holes, may have attributes, or does not fit; or an error occurred. The call
   * throws only if an argument is malformed.
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
  /** Number of files that the call read and whose digest is in `recent`. Their contents are not kept. */
  repeats: 8,
  readBytes: 9,
  /** Latest ctime of the files that the call read, in nanoseconds, rounded to a float. */
  lastChange: 10,
  numbers: 11,
});
