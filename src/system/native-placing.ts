/** The call of the native addon that finds the contents of many rows for the server. */
export interface PlacingCalls {
  /**
   * Checks rows that a client sent as final, and returns the memory of a Float64Array with the numbers of RowPlace for
   * each. `sections` is the memory of a Float64Array with two numbers for each run of rows: its bytes, and the id of its
   * directory. `contents` has entries of the indexes of frames (a digest and four more bytes each), and `ids`, the memory
   * of a Float64Array, the id of each of these contents.
   *
   * Returns undefined if `checkRows` would refuse a row, if a row is not final, or if the sections and the rows do not
   * end together. It does not check attributes. Throws EINVAL if the lists differ in length.
   */
  placeRows(
    rows: Uint8Array,
    sections: Uint8Array,
    contents: Uint8Array,
    ids: Uint8Array,
  ): Buffer | undefined;
}

/** Indexes into the numbers of a row that `placeRows` returns and the table `packed_entries` of SQLite takes. */
export const RowPlace = Object.freeze({
  /** Id of the directory; NO_DIRECTORY to leave the row out. */
  directory: 0,
  /** Id of the content; 0 if it has none, UNKNOWN_ID if it is none of the given ones. */
  content: 1,
  /** Id of a directory; 0 for other types, UNKNOWN_ID as long as the caller has not set it. */
  child: 2,
  /** Offset of the row. */
  offset: 3,
  numbers: 4,
});

export const NO_DIRECTORY = -1;
export const UNKNOWN_ID = -1;
