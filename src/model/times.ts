/** Units of time. Times are in milliseconds; those of entries are in nanoseconds. */
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
export const SECOND_NS = 1_000_000_000n;
