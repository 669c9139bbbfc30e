/** Warnings about answers that nothing proves, as the page is told of them. */
import type { History } from '../../history/index.js';

/** Number of the warnings so far; the page asks for them again once it changes. */
export const DOUBTS_HEADER = 'x-tardis-doubts';
const MAX_DOUBTS = 100;
const MAX_CHARS = 1000;

/** Returns the first warnings. */
export function shownDoubts({ doubts }: Pick<History, 'doubts'>): string[] {
  return doubts.slice(0, MAX_DOUBTS).map((text) => text.slice(0, MAX_CHARS));
}
