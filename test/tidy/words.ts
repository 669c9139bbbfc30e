import { linesMatching } from './house.js';

/**
 * Matches a comment line that begins with a word that makes a riddle of a doc comment. A comment says first what the
 * thing does or returns (CONTRIBUTING.md, "English").
 */
const ODD_OPENING =
  /^\s*(?:\/\*\*|\*|\/\/|--) (?:(?:What|Of|Who|Whoever|Whose|Whether|So many)\b|The same[.:,])/;

/** Returns `file:line: text` of each comment with such an opening. */
export function oddOpenings(file: string, text: string): string[] {
  return linesMatching(file, text, ODD_OPENING);
}
