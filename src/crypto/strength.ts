/**
 * Estimates how hard a password is to guess. The estimate is shown when a password is set; no password is refused. It
 * is based on the guesses that attackers try first: common words, rows of the keyboard, sequences, repetitions, years.
 */
interface Strength {
  /** Binary logarithm of the number of guesses needed. */
  readonly bits: number;
  readonly word: 'very weak' | 'weak' | 'fair' | 'good' | 'strong';
}

/**
 * Words that attackers try right after lists of leaked passwords. Digits and signs in place of letters are mapped to
 * letters first.
 */
const COMMON =
  'password passwort contrasena motdepasse qwerty azerty qwertz abc letmein welcome monkey dragon ' +
  'master login admin root user guest test secret backup tardis doctor computer internet server ' +
  'iloveyou love sunshine princess football baseball hockey soccer superman batman starwars pokemon ' +
  'michael jennifer thomas daniel jessica charlie ashley andrew george maggie pepper ginger ' +
  'summer winter spring autumn january monday friday freedom whatever trustno hello shadow ' +
  'money hunter killer cookie cheese flower orange banana changeme default private access ' +
  'correct horse battery staple';
const WORDS = COMMON.split(' ');
const ROWS = ['abcdefghijklmnopqrstuvwxyz', '01234567890', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];
const WORD_BITS = 9;
const ROW_BITS = 6;
const YEAR_BITS = 7;
/** Number of bits of a less common dictionary word: a base, and a part for each letter; about 14 for five letters. */
const FIRST_LETTER_BITS = 3;
const LETTER_BITS = 2.2;
const REPEAT_BITS = 1.5;
const LEET: Readonly<Record<string, string>> = {
  '@': 'a',
  4: 'a',
  3: 'e',
  1: 'i',
  '!': 'i',
  0: 'o',
  $: 's',
  5: 's',
  7: 't',
};
const MAX_LOOKED_AT = 256;

const LIMITS = [
  [28, 'very weak'],
  [40, 'weak'],
  [56, 'fair'],
  [72, 'good'],
] as const;

/** Estimates the strength of a password. Bytes that are not UTF-8 count as single characters. */
export function passwordStrength(password: Uint8Array): Strength {
  const text = Buffer.from(password).toString('utf8').slice(0, MAX_LOOKED_AT);
  const lower = text.toLowerCase();
  const plain = lower.replaceAll(/[^a-z]/g, (letter) => LEET[letter] ?? letter);
  const letterBits = Math.log2(alphabetOf(text));
  let bits = 0;
  for (let at = 0; at < lower.length; ) {
    const found = longest([
      ...wordAt(lower, at),
      ...patternsAt(lower, at),
      ...patternsAt(plain, at),
    ]);
    bits += found === undefined ? letterBits : Math.min(found.bits, found.length * letterBits);
    at += found?.length ?? 1;
  }
  // Attackers try capitals in a word too, a little later, so capitals add only one bit.
  if (lower !== text) bits += 1;
  const word = LIMITS.find(([below]) => bits < below)?.[1] ?? 'strong';
  return { bits: Math.round(bits), word };
}

interface Pattern {
  readonly length: number;
  readonly bits: number;
}

function longest(patterns: readonly Pattern[]): Pattern | undefined {
  return [...patterns].sort((a, b) => b.length - a.length)[0];
}

/** Returns the common patterns that begin at an offset. */
function patternsAt(text: string, at: number): Pattern[] {
  const rest = text.slice(at);
  const found: Pattern[] = [];
  for (const word of WORDS) {
    if (rest.startsWith(word)) found.push({ length: word.length, bits: WORD_BITS });
  }
  for (const row of ROWS) {
    for (const way of [row, row.split('').reverse().join('')]) {
      const length = commonRun(rest, way);
      if (length >= 3) found.push({ length, bits: ROW_BITS });
    }
  }
  const repeated = /^(.{1,4}?)\1{2,}/su.exec(rest)?.[0].length ?? 0;
  if (repeated > 0) found.push({ length: repeated, bits: REPEAT_BITS * 6 });
  if (/^(19|20)\d\d/.test(rest)) found.push({ length: 4, bits: YEAR_BITS });
  return found;
}

/** Returns a run of at least four letters at an offset, if it looks like a word of some language. */
function wordAt(text: string, at: number): Pattern[] {
  const letters = /^[a-z]{4,}/.exec(text.slice(at))?.[0] ?? '';
  if (!isWordLike(letters)) return [];
  return [{ length: letters.length, bits: FIRST_LETTER_BITS + letters.length * LETTER_BITS }];
}

/** True if 20 to 67 % of the letters are vowels, as in nearly all words; random letters seldom look so. */
function isWordLike(letters: string): boolean {
  const vowels = letters.replaceAll(/[^aeiouy]/g, '').length / Math.max(1, letters.length);
  return vowels >= 0.2 && vowels <= 0.67;
}

/** Returns the number of leading characters of `text` that follow each other in `row`. */
function commonRun(text: string, row: string): number {
  const start = row.indexOf(text[0] ?? '\0');
  if (start < 0) return 0;
  let length = 0;
  while (length < text.length && row[start + length] === text[length]) length += 1;
  return length;
}

function alphabetOf(text: string): number {
  let size = 0;
  if (/[a-z]/.test(text)) size += 26;
  if (/[A-Z]/.test(text)) size += 26;
  if (/\d/.test(text)) size += 10;
  if (/[ -/:-@[-`{-~]/.test(text)) size += 33;
  if (/[^\0-\x7f]/.test(text)) size += 64;
  return Math.max(size, 2);
}
