/**
 * Splits commands and lists into words. Blanks separate words, and in lists commas too. Quotes and backslashes work
 * much as in a shell. Nothing is expanded.
 */
import { TardisError } from '../errors/index.js';

/** Maximum number of words in one text. */
export const MAX_WORDS = 65_536;

/**
 * Returns the words of a text. Text in `'…'` is literal. In `"…"`, and outside of quotes, a backslash makes the next
 * character literal. With `comments`, a word that begins with `#` starts a comment up to the end of the line. `where`
 * names the place in errors. Throws CONFIG_INVALID for an open quote, a backslash at the end, or too many words.
 */
export function splitWords(text: string, where: string, comments = false): string[] {
  return split(text, where, { comments, isBetween: (character) => /\s/.test(character) });
}

/** Returns the items of a list in a file: words separated by unquoted blanks or commas. Throws CONFIG_INVALID. */
export function splitList(text: string, where: string): string[] {
  return split(text, where, {
    comments: false,
    isBetween: (character) => character === ',' || /\s/.test(character),
  });
}

interface Style {
  readonly comments: boolean;
  /** True for a character that separates words. */
  readonly isBetween: (character: string) => boolean;
}

function split(text: string, where: string, { comments, isBetween }: Style): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    if (quote !== '' && character === quote) quote = '';
    else if (character === '\\' && quote !== "'") {
      at += 1;
      if (at >= text.length) throw invalid(where, 'ends with a backslash');
      word = (word ?? '') + text[at]!;
    } else if (quote !== '') word += character;
    else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (isBetween(character)) {
      if (word !== undefined) push(words, word, where);
      word = undefined;
    } else if (comments && character === '#' && word === undefined) {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    } else word = (word ?? '') + character;
  }
  if (quote !== '') throw invalid(where, `has an open ${quote}`);
  if (word !== undefined) push(words, word, where);
  return words;
}

function push(words: string[], word: string, where: string): void {
  if (words.length >= MAX_WORDS) throw invalid(where, `has more than ${MAX_WORDS} words`);
  words.push(word);
}

function invalid(where: string, what: string): TardisError {
  return new TardisError('CONFIG_INVALID', `${where} ${what}`, { where });
}
