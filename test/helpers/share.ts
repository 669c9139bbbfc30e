/**
 * The share of very many cases that a run takes: 0.1 in `npm test`, 1 in `npm run test:soak` (TEST_SHARE). TEST_SEED
 * chooses which ones, so each commit takes others.
 */
const DEFAULT_SHARE = 0.1;

export const share = Number(process.env['TEST_SHARE'] ?? DEFAULT_SHARE);

/** Returns how many of `all` cases this run takes, at least `least`. */
export function shareOf(all: number, least = 1): number {
  return Math.max(least, Math.round(all * share));
}
