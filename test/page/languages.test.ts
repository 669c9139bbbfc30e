/** The languages of the page: each has all texts, with the same values, and no text is outside of them. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { transformSync } from 'esbuild';
import { ERROR_TABLE } from '../../src/errors/index.js';
import { clientState, type ClientFacts } from '../../src/model/index.js';
import { isReason } from '../../src/retention/index.js';
import {
  adviceOf,
  keptBy,
  LANGUAGES,
  languageOf,
  reasonOf,
  type Text,
  translator,
} from './logic.js';

const FOLDER = 'src/page/languages';

function read(code: string): Record<string, Text> {
  return JSON.parse(fs.readFileSync(`${FOLDER}/${code}.json`, 'utf8')) as Record<string, Text>;
}

const english = read('en');
const others = Object.keys(LANGUAGES).filter((code) => code !== 'en');

/** Returns all forms of a text. */
function formsOf(text: Text): string[] {
  return typeof text === 'string' ? [text] : Object.values(text);
}

function valuesIn(text: Text): string[] {
  return [...new Set(formsOf(text).flatMap((form) => form.match(/\{\w+\}/g) ?? []))].sort();
}

test('each language is a file with all texts, the same values, and its own plural forms', (t) => {
  const files = fs.readdirSync(FOLDER).map((name) => path.basename(name, '.json'));
  t.deepEqual(files.sort(), Object.keys(LANGUAGES).sort());
  for (const code of others) {
    const texts = read(code);
    t.deepEqual(Object.keys(texts).sort(), Object.keys(english).sort(), code);
    const plurals = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
    for (const [key, text] of Object.entries(texts)) {
      t.deepEqual(valuesIn(text), valuesIn(english[key]!), `${code}: ${key}`);
      t.true(
        formsOf(text).every((form) => form.trim() === form && form !== ''),
        `${code}: ${key}`,
      );
      if (typeof text === 'string') continue;
      t.true('other' in text, `${code}: ${key}`);
      t.true(
        Object.keys(text).every((form) => plurals.includes(form as Intl.LDMLPluralRule)),
        `${code}: ${key}`,
      );
    }
  }
});

test('texts are translated: those that equal the English one are words of both languages', (t) => {
  for (const code of others) {
    const texts = read(code);
    const equal = Object.keys(english).filter(
      (key) => JSON.stringify(texts[key]) === JSON.stringify(english[key]),
    );
    // Names, signs, and words such as "Client", "Name", "Versions".
    t.true(equal.length < 40, `${code}: ${equal.join(', ')}`);
    t.deepEqual(
      equal.filter((key) => formsOf(english[key]!).some((form) => form.split(' ').length > 3)),
      ['keysMoveNames'].filter((key) => equal.includes(key)),
    );
  }
});

test('texts of errors are those of codes that exist', (t) => {
  const codes = Object.keys(english)
    .filter((key) => /^error[A-Z_]+$/.test(key))
    .map((key) => key.slice('error'.length));
  t.true(codes.length > 50);
  t.deepEqual(
    codes.filter((code) => !Object.hasOwn(ERROR_TABLE, code)),
    ['UNREACHABLE'],
  );
});

/**
 * Matches texts that people see or hear, in a script that esbuild has made of a component: a child alone or on a line of
 * its own, an attribute, a label.
 */
const LITERALS = [
  /\b(?:children|"aria-label"|title|placeholder|alt|label): (?:[^"`\n(]*[?:] )?["`]([^"`\n]*)["`]/g,
  /(?<!\bjsxs?\()\n\s+["`]([^"`\n]*)["`],?(?=\n)/g,
];

/** Returns the texts in a component that no file of a language has. */
function literalsIn(text: string): string[] {
  const { code } = transformSync(text, { loader: 'tsx', jsx: 'automatic', charset: 'utf8' });
  return LITERALS.flatMap((literal) => [...code.matchAll(literal)])
    .map(([, found = '']) => found.replaceAll(/\$\{[^}]*\}/g, ''))
    .filter(
      (found) => /\p{L}/u.test(found) && !/^[A-Z_]+$|^\/\w+$|^\w+\/+$|^[a-z]+[A-Z]\w+$/.test(found),
    ); // codes, keys
}

test('no component has a text of its own', (t) => {
  const folder = 'src/page/components';
  for (const name of fs.readdirSync(folder)) {
    const found = literalsIn(fs.readFileSync(path.join(folder, name), 'utf8'));
    t.deepEqual(found, [], name);
  }
  for (const bad of [
    '<p>Hello</p>',
    '<p>{a} days</p>',
    '<p title="Hello" />',
    '<p>{a ? "b" : c}</p>',
  ])
    t.is(literalsIn(`export const A = () => ${bad};`).length, 1, bad);
});

test('the reason of a state is in English that of `tardis status`, and complete in each language', (t) => {
  const HOUR_MS = 3_600_000;
  const newest = { ageMs: 50 * HOUR_MS, unread: 0 };
  const all: ClientFacts[] = [
    { newest, lateAfterMs: 0 },
    { newest, lateAfterMs: 26 * HOUR_MS },
    { newest: { ...newest, unread: 1 }, lateAfterMs: 0 },
    { newest: { ...newest, unread: 3 }, lateAfterMs: 0 },
    { newest, lateAfterMs: 0, damagedContents: 1 },
    { newest, lateAfterMs: 0, isRunning: true },
    { newest: undefined, lateAfterMs: 0, isRunning: true },
    { newest: undefined, lateAfterMs: 0 },
    { newest, lateAfterMs: 0, failure: 'the disk is full' },
    { newest, lateAfterMs: 0, failure: { code: 'incomplete' } },
    { newest: undefined, lateAfterMs: 0, failure: { code: 'cut', beganMs: HOUR_MS } },
    { newest, lateAfterMs: 0, fault: 'the disk is away' },
  ];
  for (const facts of all) {
    const { cause, reason, advice } = clientState(facts);
    const translate = translator(english, english, 'en');
    t.is(reasonOf(cause, translate, 'en'), reason);
    t.is(adviceOf(cause, translate), advice);
    for (const code of others) {
      const translated = translator(read(code), english, code);
      t.notRegex(
        `${reasonOf(cause, translated, code)} ${adviceOf(cause, translated)}`,
        /\{|undefined/,
      );
    }
  }
});

test('a purge has words for each reason to keep a set', (t) => {
  const translate = translator(english, english, 'en');
  for (const [why, what] of [
    ...['locked', 'unfinished', 'young', 'last', 'within', 'tag', 'clock', 'damaged'].map((one) => [
      one,
    ]),
    ...['not meant', 'no rule'].map((one) => [one]),
    ...['hour', 'day', 'week', 'month', 'year'].map((one) => [one, '2026']),
    ['newest', 'of its roots and machine'],
    ['newest', 'of the series that have ended'],
    ['year', 'of a time in doubt'],
    ['priority', 'for ever'],
    ['priority', '180 days'],
  ] as [string, string?][]) {
    const reason = what === undefined ? { why } : { why, what };
    t.true(isReason(reason));
    const words = keptBy(reason, translate);
    t.not(words, `${why} ${what ?? ''}`);
    t.notRegex(words, /\{|undefined/);
  }
  t.is(
    keptBy({ why: 'priority', what: '180 days' }, translate),
    'its priority keeps it for 180 days',
  );
});

test('the language is the first that the page has; numbers select the form of a text', (t) => {
  t.is(languageOf([null, 'it-IT', 'fr-CA', 'de']), 'fr');
  t.is(languageOf(['xx']), 'en');
  const french = translator(read('fr'), english, 'fr');
  t.is(french('filesCount', { n: 0 }), '0 fichier');
  t.regex(french('filesCount', { n: 12_000 }), /^12\s000 fichiers$/);
  t.is(translator({}, english, 'de')('filesCount', { n: 1 }), '1 file');
});
