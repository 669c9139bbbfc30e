/** Lists and commands as a shell reads them: words between blanks, quotes, backslashes. No expansion. */
import { TardisError } from '../errors/index.js';

/** Most words of one text. */
export const MAX_WORDS = 65_536;

/**
 * The words of a text. `'…'` is taken as it is, in `"…"` and outside a backslash takes the next
 * character as it is; with `comments`, a word that begins with `#` ends its line. `where` names the
 * place in errors: an open quote or too many words give CONFIG_INVALID.
 */
export function splitWords(text: string, where: string, comments = false): string[] {
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
    } else if (/\s/.test(character)) {
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
