/** Language of the page: the chosen one, otherwise the first of the browser that the page has, otherwise English. */
import ENGLISH from './languages/en.json' with { type: 'json' };
import { type LanguageCode, languageOf, type Texts, translator } from './logic/texts.js';

const CHOSEN_KEY = 'language';

export const LANGUAGE: LanguageCode = languageOf([
  localStorage.getItem(CHOSEN_KEY),
  ...navigator.languages,
]);

/** Returns the texts of the language; those in English are in the script, and stand in for a file that cannot be loaded. */
async function loaded(): Promise<Texts> {
  if (LANGUAGE === 'en') return ENGLISH;
  try {
    const response = await fetch(new URL(`languages/${LANGUAGE}.json`, document.baseURI));
    return response.ok ? ((await response.json()) as Texts) : ENGLISH;
  } catch {
    return ENGLISH; // the next load of the page may have it
  }
}

const texts = await loaded();
document.documentElement.lang = texts === ENGLISH ? 'en' : LANGUAGE;

/**
 * Language tag for the format of dates and numbers: the first tag of the browser that is of the language of the page;
 * without such a tag, that language.
 */
export const LOCALE: string =
  navigator.languages.find((tag) => languageOf([tag]) === LANGUAGE) ?? LANGUAGE;

/** Returns a text with its values inserted. The value `n` selects the plural form. */
export const t = translator(texts, ENGLISH, LOCALE);

/** Returns a label with a value, such as `Theme: dark`. */
export function labelled(label: string, value: string): string {
  return t('labelled', { label, value });
}

/** Keeps a language for this browser, and shows the page in it. Work that runs goes on, since the program does it. */
export function chooseLanguage(code: string): void {
  localStorage.setItem(CHOSEN_KEY, code);
  location.reload();
}
