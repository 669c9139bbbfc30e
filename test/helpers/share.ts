/** Shares of very many cases, of which a run takes some. */
import { seededRandom } from '../support/seeded-random.js';
import { seed } from './seed.js';

/**
 * The share of very many cases that a run takes: 0.03 in `npm test`, 1 in `npm run test:soak` (TEST_SHARE). TEST_SEED
 * chooses which ones, so each commit takes others.
 */
const DEFAULT_SHARE = 0.03;

export const share = Number(process.env['TEST_SHARE'] ?? DEFAULT_SHARE);

/** The share of cases that take half a second each or more; a soak run takes all of them too. */
export const smallShare = share < 1 ? share / 3 : share;

/**
 * The share of the points of a sweep, of which each costs some tenths of a second and there are thousands: about three
 * seconds of processor time for a file in `npm test`. A soak run takes all of them.
 */
export const sweepShare = share < 1 ? share / 6 : share;

/**
 * Returns a random part of the cases, in their order. It has at least one case of each class, if `classesOf` returns
 * the names of the classes that a case is in.
 */
export function partOf<T>(
  cases: readonly T[],
  part: number,
  random: { next(): number },
  classesOf: (one: T) => readonly string[] = () => [],
): T[] {
  const shuffled = cases
    .map((one, at) => ({ one, at, turn: random.next() }))
    .sort((a, b) => a.turn - b.turn);
  const wanted = Math.ceil(cases.length * Math.min(1, part));
  const met = new Set<string>();
  const taken = shuffled.filter(({ one }, index) => {
    const classes = classesOf(one);
    if (index >= wanted && classes.every((each) => met.has(each))) return false;
    for (const each of classes) met.add(each);
    return true;
  });
  return taken.sort((a, b) => a.at - b.at).map(({ one }) => one);
}

/** Returns the part of the cases that this run takes, by TEST_SEED: all in a soak run. */
export function ofThisRun<T>(
  cases: readonly T[],
  classesOf?: (one: T) => readonly string[],
  part = share,
): T[] {
  return partOf(cases, part, seededRandom(seed), classesOf);
}

/** Returns how many of `all` cases this run takes, at least `least`. */
export function shareOf(all: number, least = 1): number {
  return Math.max(least, Math.round(all * share));
}
