/** Times, in seconds, for which the kernel may keep entries and attributes of the mount without asking again. */

/** For a complete set, which never changes. */
export const FOREVER_SECONDS = 0x3fff_ffff;
/** For a set that a backup is still writing. */
export const UNFINISHED_SECONDS = 1;
/** For the sets in the top directory, and for the versions below `versions`: a backup may add some. */
export const SHORT_SECONDS = 1;
