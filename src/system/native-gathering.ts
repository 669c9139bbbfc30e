/** The parameters that both calls share. */
type GatherParts = readonly [
  rows: Uint8Array,
  contents: Uint8Array,
  digests: Uint8Array,
  out: Uint8Array,
  places: Uint8Array,
  recent: Uint8Array,
  key: Uint8Array,
  rawEndings: Uint8Array,
  cursor: Uint8Array,
];

/** The calls of the native addon that read many files for a backup. */
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
  readFiles(dirFd: number, ...parts: GatherParts): void;

  /**
   * Reads the files of a parcel as `readFiles` does, on a thread of libuv's pool. The n-th directory has a range of
   * `paths` and of `rows`, which end at the n-th number (32 bits) of `pathEnds` and `rowEnds`, and IDENTITY_BYTES of
   * `identities`, with which it is opened as by `openListed`. Rows of entries without
   * content are copied to `out` if the entry has no attributes. `outEnds` receives the end of the rows of each directory
   * that is done. The buffers must not be used, transferred or released before the promise is settled.
   */
  readParcelAside(
    ...partsAndEnds: readonly [
      paths: Uint8Array,
      ...parts: GatherParts,
      pathEnds: Uint8Array,
      rowEnds: Uint8Array,
      outEnds: Uint8Array,
      identities: Uint8Array,
    ]
  ): Promise<void>;
}

/** Indexes into the Float64Array of the `cursor` of these calls. */
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
  /** Number of directories of a parcel that are done. */
  section: 11,
  /** Time that `readParcelAside` worked. */
  busyMs: 12,
  numbers: 13,
});
