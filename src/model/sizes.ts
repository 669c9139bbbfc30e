/** Sizes that the client, the server and the catalog must agree on. */

/**
 * Files above this size are streamed in chunks and looked up by their size (also in the index
 * `contents_by_size` of schema/tardis.sql). Smaller files are read in one piece.
 */
export const LARGE_FILE_BYTES = 1 << 20;
