/** Formats warnings for the page about data whose authenticity could not be proven. */
import type { History } from '../../history/index.js';

/** Header with the number of warnings so far. If the number changes, the page requests the warnings again. */
export const DOUBTS_HEADER = 'x-tardis-doubts';
const MAX_DOUBTS = 100;
const MAX_CHARS = 1000;

/** Returns the first warnings of a history, each shortened. */
export function shownDoubts({ doubts }: Pick<History, 'doubts'>): string[] {
  return doubts.slice(0, MAX_DOUBTS).map((text) => text.slice(0, MAX_CHARS));
}
