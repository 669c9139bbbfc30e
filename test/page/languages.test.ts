/** The languages of the page: each has all texts, with the same values, and no text is outside of them. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { transformSync } from 'esbuild';
import { ERROR_TABLE } from '../../src/errors/index.js';
import { stateOf } from '../../src/history/index.js';
import { type ClientFacts, NO_FACTS } from '../../src/model/index.js';
import { isReason } from '../../src/retention/index.js';
import {
  adviceOf,
  keptBy,
  LANGUAGES,
  languageOf,
  readText,
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
  const nowMs = Date.UTC(2026, 2, 5);
  const saved = { completeSets: 2, newestSet: 2, newestAtMs: nowMs - 50 * HOUR_MS };
  const failed = { failedAtMs: nowMs - HOUR_MS, failure: 'it was refused' };
  const roots = [0, 0, saved.newestAtMs].map((atMs, at) => ({ id: `root-${at}`, set: at, atMs }));
  const quota = { quotaBytes: 250e9, accountBytes: 240e9 };
  const disk = { diskBytes: 1e12, freeBytes: 5.5e9 };
  const all: (Partial<ClientFacts> & { readonly code: string })[] = [
    { code: 'good' },
    { code: 'late', lateAfterMs: 26 * HOUR_MS },
    { code: 'ahead', newestAtMs: nowMs + 50 * HOUR_MS },
    { code: 'unread', unread: 1 },
    { code: 'unread', unread: 3 },
    { code: 'damaged', damagedContents: 1 },
    { code: 'running', isInUse: true },
    { code: 'running', isInUse: true, newestSet: 0, newestAtMs: 0 },
    { code: 'never', newestSet: 0, newestAtMs: 0 },
    { code: 'never', newestSet: 0, newestAtMs: 0, unfinishedAtMs: 1, stoppedAtMs: 2 },
    { code: 'good', unfinishedAtMs: nowMs - HOUR_MS, stoppedAtMs: nowMs },
    { code: 'failed', ...failed },
    { code: 'failed', ...failed, failureCode: 'QUOTA_EXCEEDED' },
    { code: 'cut', ...failed, failure: '' },
    { code: 'cut', unfinishedAtMs: nowMs - HOUR_MS, newestSet: 0, newestAtMs: 0 },
    { code: 'quota', ...quota },
    { code: 'quota', ...quota, accountBytes: 251e9 },
    { code: 'disk', ...disk },
    { code: 'disk', ...disk, leastFreeBytes: 6e9 },
    { code: 'lacking', roots },
    { code: 'lacking', roots: roots.slice(1) },
    { code: 'unseen', fault: 'NO_SUCH_STORE' },
    { code: 'unseen', fault: 'STORE_NOT_READABLE' },
    { code: 'unseen', fault: 'OF_A_NEWER_RELEASE' },
  ];
  const about = { client: 'me', protection: 'none', requestedAtMs: 0, requestedBy: '' } as const;
  for (const { code, ...facts } of all) {
    const stated = stateOf({ ...NO_FACTS, ...saved, ...about, ...facts }, { nowMs });
    t.is(stated.cause.code, code as typeof stated.cause.code);
    const translate = translator(english, english, 'en');
    t.is(reasonOf(stated, translate, 'en'), stated.reason);
    const { error = '' } = stated.cause;
    const own = facts.fault === 'NO_SUCH_STORE' ? undefined : english[`error${error}`];
    t.is(adviceOf(stated, translate), (own ?? stated.advice) as string);
    for (const language of others) {
      const translated = translator(read(language), english, language);
      const words = `${reasonOf(stated, translated, language)} ${adviceOf(stated, translated)}`;
      t.notRegex(words, /\{|undefined|: \.|\(\)/);
    }
  }
});

test('data that was read is a share with a date, and less than all is never all', (t) => {
  const allReadSinceMs = new Date(2026, 2, 3).getTime();
  const checkedAtMs = Date.now() - 3.5 * 86_400_000;
  const words = (language: string, proof: Parameters<typeof readText>[0]): string =>
    readText(proof, translator(read(language), english, language), language);
  t.regex(words('en', {}), /^No check has read the data yet/);
  for (const [share, shown] of [
    [0.001, 'less than 1%'],
    [0.129, '12%'],
    [0.999, '99%'],
    [1, '100%'],
  ] as const) {
    const text = words('en', { checkedAtMs, readShare: share });
    t.is(text, `Checks have read ${shown} of the data in the last 7 days.`);
  }
  const part = { checkedAtMs, readShare: 0.12, allReadSinceMs };
  t.regex(
    words('en', part),
    /12% of the data in the last 7 days, all of it since Tue, Mar 3, 2026\.$/,
  );
  t.regex(words('de', part), /12\s% der Daten gelesen, alle seit Di\., 3\. März 2026\.$/);
  t.regex(words('fr', part), /12\s% des données en 7 jours, toutes depuis le mar\. 3 mars 2026\.$/);
  t.is(
    words('en', { ...part, readShare: 0 }).replace(/,.*/, ''),
    'Checks have last read data 3 days ago',
  );
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
