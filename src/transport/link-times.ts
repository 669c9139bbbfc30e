/** Settings of a connection: the times after which a silent peer counts as dead. */

/** Number of pings sent within the timeout of a link. */
const PINGS_IN_TIME = 3;
const MIN_PING_MS = 30;

export interface LinkOptions {
  readonly pingMs: number;
  readonly timeoutMs: number;
  /** Longest time for making a connection; by default 30 s, or `timeoutMs` if that is shorter. */
  readonly connectMs?: number;
  readonly compressHeads: boolean;
}

export const DEFAULT_LINK: LinkOptions = Object.freeze({
  pingMs: 5000,
  timeoutMs: 300_000,
  compressHeads: false,
});

/** Returns options for a link that times out after `timeoutMs`; pings are frequent enough for that. */
export function linkWith(timeoutMs: number): LinkOptions {
  const pingMs = Math.max(MIN_PING_MS, Math.min(DEFAULT_LINK.pingMs, timeoutMs / PINGS_IN_TIME));
  return { ...DEFAULT_LINK, timeoutMs, pingMs };
}
