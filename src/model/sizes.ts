/** Sizes that the client, the server and the catalog must agree on. */

/**
 * Files above this size are sent in chunks, and the server may already have their content. It finds a content of such a
 * size with the index `contents_by_size` of schema/tardis.sql, which has the same limit.
 */
export const LARGE_FILE_BYTES = 1 << 20;

/**
 * Size in the listed row of a file whose size is known only when all of it was read, such as the output of a command.
 * Its previous version is offered as a basis, however large that is.
 */
export const UNKNOWN_SIZE_BYTES: number = Number.MAX_SAFE_INTEGER;
