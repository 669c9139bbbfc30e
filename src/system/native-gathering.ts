/** The call of the native addon that reads the files of a parcel for a backup. */
export interface GatheringCalls {
  /**
   * Reads the files of a parcel. The n-th directory has a range of `paths` and of `rows`, which end at the n-th number (32
   * bits) of `pathEnds` and `rowEnds`, and IDENTITY_BYTES of `identities`, with which it is opened as by `openListed`. Puts
   * the contents into `contents`, the SHA-256 of each (keyed if `key` is not empty) into `digests`, and its row with that
   * digest into `out`. A content whose digest is in `recent` (the memory of SharedDigests) is not kept. With `isKept`, the
   * digests of kept contents are added to `recent`. Rows of entries without content are copied to `out`. A row gets the
   * attributes of its entry, which are read by the descriptor of its content. `outEnds` receives the end of the rows of each directory.
   * If a file of a directory must come from a disk, the system begins to read the others at once.
   * Once they were read, each identity gets a note if its directory `wasClosed`.
   *
   * `places` consists of five arrays with an element for each content, so that a content takes 17 bytes. Four have 32
   * bits for each: its start, its size, its kind, and the offset of its row. The last has a byte, which is 1 if the
   * content is stored raw. A content is stored raw if its file has one of `rawEndings`, which are in lower case and
   * each between two NUL, or is smaller than `rawBelowBytes`. `cursor` is the memory of a Float64Array, whose numbers
   * are those of GatherCursor.
   *
   * `undecided` receives UNDECIDED_NUMBERS (32 bits) for each entry that needs a decision: the index of its directory, the
   * offset of its row, and the offset in `out` where its row belongs. Such entries differ from their rows, changed while they
   * were read, have holes or an inexact time, or do not fit; or an error occurred.
   *
   * With `isAsync`, the call works on a thread of libuv's pool and returns a promise. The buffers must not be used,
   * transferred or released before that is settled. The call fails only if an argument is malformed.
   */
  readParcel(
    ...parts: readonly [
      paths: Uint8Array,
      rows: Uint8Array,
      contents: Uint8Array,
      digests: Uint8Array,
      out: Uint8Array,
      places: Uint8Array,
      recent: Uint8Array,
      key: Uint8Array,
      rawEndings: Uint8Array,
      cursor: Uint8Array,
      pathEnds: Uint8Array,
      rowEnds: Uint8Array,
      outEnds: Uint8Array,
      identities: Uint8Array,
      undecided: Uint8Array,
      isAsync: boolean,
    ]
  ): Promise<void> | void;
}

/** Numbers of an entry that needs a decision. */
export const UNDECIDED_NUMBERS = 3;

/** Indexes into the Float64Array of the `cursor` of `readParcel`. */
export const GatherCursor = Object.freeze({
  contentOffset: 0,
  /** Number of contents in `places`. */
  contents: 1,
  outOffset: 2,
  rawBelowBytes: 3,
  isKept: 4,
  /** Number of files that the call read. */
  files: 5,
  /** Number of files that the call read and whose digest is in `recent`. Their contents are not kept. */
  repeats: 6,
  readBytes: 7,
  /** Latest ctime of the files that the call read, in nanoseconds, rounded to a float. */
  lastChange: 8,
  /** Time that the call worked. */
  busyMs: 9,
  /** Number of entries that need a decision. */
  undecided: 10,
  /** Number of rows with attributes in `out`. */
  attributed: 11,
  numbers: 12,
});
