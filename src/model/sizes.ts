/** Sizes that both ends, and the catalog, must have alike. */

/**
 * Files above this size stream in chunks and are looked for by their size (also in the index
 * `contents_by_size` of schema/tardis.sql); up to it they are read whole.
 */
export const LARGE_FILE_BYTES = 1 << 20;
