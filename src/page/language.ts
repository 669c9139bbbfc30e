/** Language of the page: the browser's first language that has a table, otherwise English. */
import { ENGLISH, LANGUAGES, type Language, type TextKey } from './strings.js';

const FALLBACK = 'en';

const wanted = navigator.languages.map((tag) => tag.toLowerCase().split('-')[0]!);
const code = wanted.find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? FALLBACK;
const table: Language = LANGUAGES[code] ?? ENGLISH;
const plurals = new Intl.PluralRules(code);

/**
 * Language tag for the format of dates and numbers: the first tag of the browser that is of the language of the texts;
 * without such a tag, that language.
 */
export const LOCALE: string =
  navigator.languages.find((tag) => tag.toLowerCase().startsWith(code)) ?? code;

const numbers = new Intl.NumberFormat(LOCALE);

type Values = Readonly<Record<string, string | number>>;

/** Returns a text with its values inserted. The value `n` selects the plural form. */
export function t(key: TextKey, values: Values = {}): string {
  const text = table[key];
  const count = values['n'];
  const form =
    typeof text === 'string'
      ? text
      : (text[pluralOf(typeof count === 'number' ? count : 0)] ?? text.other);
  return form.replaceAll(/\{(\w+)\}/g, (whole: string, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? numbers.format(value) : value;
  });
}

function pluralOf(count: number): 'one' | 'few' | 'many' | 'other' {
  const plural = plurals.select(count);
  return plural === 'one' || plural === 'few' || plural === 'many' ? plural : 'other';
}

document.documentElement.lang = code;
