/** Finds the known name that is most similar to a mistyped one. */
import { shownText } from './shown.js';

/** Maximum length of names that are compared; longer ones are not typing errors. */
const MAX_CHARS = 64;

/** Returns the most similar of `known`, regardless of case; undefined if none is similar. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase();
  if (wanted.length > MAX_CHARS) return undefined;
  let best: string | undefined;
  let least = Math.max(2, Math.floor(wanted.length / 3)) + 1;
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
 * Returns the edit distance: the minimum number of insertions, deletions and replacements that turn `from` into `to`.
 */
function distance(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let at = 1; at <= to.length; at += 1) {
      const replaced = above[at - 1]! + (from[row - 1] === to[at - 1] ? 0 : 1);
      current.push(Math.min(replaced, above[at]! + 1, current[at - 1]! + 1));
    }
    above = current;
  }
  return above[to.length]!;
}
