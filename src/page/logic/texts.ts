/** Texts of one language: a table by key, in which `{name}` stands for a value. */
import type ENGLISH from '../languages/en.json';

export type TextKey = keyof typeof ENGLISH;

/** A text. One with a number has a form for each plural form of its language, by the names of `Intl.PluralRules`. */
export type Text = string | Readonly<Partial<Record<Intl.LDMLPluralRule, string>>>;
/** The texts of a language. A missing one is shown in English. */
export type Texts = Readonly<Partial<Record<TextKey, Text>>>;

/** The languages of the page, by their codes, each with its name in itself. Each is a file of `languages/`. */
export const LANGUAGES = { de: 'Deutsch', en: 'English', fr: 'Français' } as const;
export type LanguageCode = keyof typeof LANGUAGES;

export type Values = Readonly<Record<string, string | number>>;
/** Returns a text with its values inserted. The value `n` selects the plural form. */
export type Translate = (key: TextKey, values?: Values) => string;

/** Returns the function that gives the texts of a table. `locale` is the tag for the format of numbers. */
export function translator(texts: Texts, english: Texts, locale: string): Translate {
  const plurals = new Intl.PluralRules(locale);
  const numbers = new Intl.NumberFormat(locale);
  return (key, values = {}) => {
    const text = texts[key] ?? english[key] ?? key;
    const { n } = values;
    const form =
      typeof text === 'string'
        ? text
        : (text[plurals.select(typeof n === 'number' ? n : 0)] ?? text.other ?? key);
    return form.replaceAll(/\{(\w+)\}/g, (whole: string, name: string) => {
      const value = values[name];
      if (value === undefined) return whole;
      return typeof value === 'number' ? numbers.format(value) : value;
    });
  };
}

/** Returns the text of a key that may be none, such as `error` with a code; undefined if there is none. */
export function wordsFor(key: string, translate: Translate, values?: Values): string | undefined {
  const words = translate(key as TextKey, values);
  return words === key ? undefined : words;
}

/** Returns the first of some language tags, such as `de-AT`, whose language the page has; otherwise English. */
export function languageOf(tags: readonly (string | null)[]): LanguageCode {
  const codes = tags.map((tag) => tag?.toLowerCase().split('-')[0]);
  return codes.find(isLanguage) ?? 'en';
}

function isLanguage(code: string | undefined): code is LanguageCode {
  return code !== undefined && Object.hasOwn(LANGUAGES, code);
}
