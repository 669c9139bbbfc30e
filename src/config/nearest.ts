/** Finds the known name that is most similar to a mistyped one. */
import { shownText } from './displayed-text.js';

/** Maximum length of names that are compared; longer ones are not typing errors. */
const MAX_CHARS = 64;
/** Number of letters of a short name: two edits would turn `logs` into `ls`. */
const SHORT_CHARS = 4;

/** Returns the most similar of `known`, regardless of case; undefined if none is similar. A short name may differ by one edit. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase();
  if (wanted.length > MAX_CHARS) return undefined;
  let best: string | undefined;
  let least = Math.max(wanted.length > SHORT_CHARS ? 2 : 1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const edits = distance(wanted, candidate.toLowerCase());
    if (edits >= least) continue;
    [best, least] = [candidate, edits];
  }
  return best;
}

/** Returns a hint with the nearest name, or an empty text. */
export function nearestHint(name: string, known: Iterable<string>): string {
  const found = nearest(name, known);
  return found === undefined ? '' : ` (the nearest one is "${shownText(found)}")`;
}

/**
 * Returns the edit distance: the minimum number of insertions, deletions, replacements and exchanges of neighbours that
 * turn `from` into `to`.
 */
function distance(from: string, to: string): number {
  let before: readonly number[] = [];
  let above: readonly number[] = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let at = 1; at <= to.length; at += 1) {
      const replaced = above[at - 1]! + (from[row - 1] === to[at - 1] ? 0 : 1);
      const isExchange = from[row - 1] === to[at - 2] && from[row - 2] === to[at - 1];
      const exchanged = isExchange ? before[at - 2]! + 1 : replaced;
      current.push(Math.min(replaced, exchanged, above[at]! + 1, current[at - 1]! + 1));
    }
    [before, above] = [above, current];
  }
  return above[to.length]!;
}
