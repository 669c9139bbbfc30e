/** Parses retention rules and name formats from the words of settings. */
import { TardisError } from '../errors/index.js';
import { DAY_MS, displayLine, HOUR_MS, tagFault } from '../model/index.js';
import { formatFault, type NameFormat } from './names.js';
import {
  COUNT_RULES,
  countsOf,
  hasRules,
  type PriorityPeriod,
  type RetentionRules,
  type RuleCounts,
} from './rules.js';

/** Rules as words. Each word of a list may contain several, separated by commas or blanks. */
export interface RuleWords extends RuleCounts {
  readonly priorities: readonly string[];
  /** Rules by priority; undefined for none. */
  readonly keepPeriods: readonly string[] | undefined;
  /** A time such as 30d; empty for no rule. */
  readonly keepWithin: string;
  /** A time such as 90d; empty for no rule. */
  readonly endedAfter: string;
  readonly keepTags: readonly string[];
}

export interface FormatWords {
  /** Formats of names; undefined for names by date and time. */
  readonly formats: readonly string[] | undefined;
  readonly priorities: readonly string[];
}

const UNITS_MS: Readonly<Record<string, number>> = {
  h: HOUR_MS,
  d: DAY_MS,
  w: 7 * DAY_MS,
  m: 31 * DAY_MS,
  mo: 31 * DAY_MS,
  y: 366 * DAY_MS,
};
/** Default of Priorities. */
const USUAL_PRIORITIES: readonly string[] = ['40', '20', '10'];
/** Default of KeepPeriods, in days, for a server without any rule. */
const USUAL_PERIODS = ['0', '180', '30'];
/** Periods whose first set gets a priority if no formats are set: month, week, day. */
const USUAL_FORMATS = ['%Y-%m', '%G-W%V', '%Y-%m-%d'];

/** Rules that are words. */
export const WORD_RULES = [
  'keepWithin',
  'endedAfter',
  'keepPeriods',
  'priorities',
  'keepTags',
] as const;
/** All rules. */
export const RULES: readonly (keyof RuleWords)[] = [...COUNT_RULES, ...WORD_RULES];

/** Returns the key under which a rule is stored with a client: `KeepLast` for `keepLast`. */
export function ruleKey(rule: keyof RuleWords): string {
  return rule.charAt(0).toUpperCase() + rule.slice(1);
}

/** Parses rules of which each is one text; an empty text is no rule. Throws CONFIG_INVALID if one is invalid. */
export function rulesOfTexts(textOf: (rule: keyof RuleWords) => string): RetentionRules {
  const [periods, priorities] = [textOf('keepPeriods'), textOf('priorities')];
  return rulesOf({
    ...countsOf((rule) => Number(textOf(rule))),
    keepWithin: textOf('keepWithin'),
    endedAfter: textOf('endedAfter'),
    keepPeriods: periods === '' ? undefined : wordsOf([periods]),
    priorities: priorities === '' ? USUAL_PRIORITIES : wordsOf([priorities]),
    keepTags: wordsOf([textOf('keepTags')]),
  });
}

/** Parses the rules. Throws CONFIG_INVALID if a word is invalid. */
export function rulesOf(words: RuleWords): RetentionRules {
  const { priorities, keepPeriods, keepWithin, endedAfter, keepTags } = words;
  for (const tag of keepTags) requireTag(tag);
  return {
    periods: keepPeriods === undefined ? [] : periodsOf(priorities, keepPeriods),
    ...countsOf((rule) => words[rule]),
    keepWithinMs: keepWithin === '' ? 0 : spanOf(keepWithin),
    endedAfterMs: endedAfter === '' ? 0 : spanOf(endedAfter, '--ended-after'),
    keepTags,
  };
}

/**
 * Parses the rules of a server. Without any rule, the default periods apply, if `priorities` has as many numbers.
 * Throws CONFIG_INVALID if a word is invalid.
 */
export function serverRules(words: RuleWords): RetentionRules {
  const rules = rulesOf(words);
  if (hasRules(rules)) return rules;
  const { priorities } = words;
  const isUsual = numbersOf(priorities, 'Priorities').length === USUAL_PERIODS.length;
  return isUsual ? { ...rules, periods: periodsOf(priorities, USUAL_PERIODS) } : rules;
}

/**
 * Parses the formats. Throws CONFIG_INVALID if one is invalid, or if their number differs from that of the priorities.
 */
export function formatsOf({ formats, priorities }: FormatWords): NameFormat[] {
  const words = formats === undefined ? USUAL_FORMATS : wordsOf(formats);
  const ranks = numbersOf(priorities, 'Priorities');
  const isName = formats !== undefined;
  if (words.length !== ranks.length) {
    throw invalid(
      `Formats has ${words.length} and Priorities has ${ranks.length}: give one priority for each format`,
    );
  }
  return words.map((format, index) => {
    if (isName) requireFormat(format);
    return { format, priority: ranks[index]!, isName };
  });
}

/**
 * Throws CONFIG_INVALID if a value is invalid by itself. This check is for values that are stored with a
 * client: they are changed one by one, so their combination is checked only when the rules are applied.
 */
export function requireMeaning(key: string, value: unknown): void {
  const words = wordsOf(Array.isArray(value) ? value.map(String) : [String(value)]);
  if (key === 'KeepWithin' || key === 'EndedAfter') for (const span of words) spanOf(span, key);
  else if (key === 'Priorities') numbersOf(words, key);
  else if (key === 'KeepPeriods') lengthsOf(words);
  else if (key === 'Formats') for (const format of words) requireFormat(format);
  else if (key === 'KeepTags') for (const tag of words) requireTag(tag);
}

/** Settings that are lists with a word for each kind of set. They have an effect only if all have as many words. */
const ALIKE = ['Formats', 'Priorities', 'KeepPeriods'];

/**
 * Returns the reason why such settings of a client have no effect, or may have none because the rest is that of the
 * server; undefined if they have. `settings` has those that are set, by key.
 */
export function lackOfEffect(settings: ReadonlyMap<string, string>): string | undefined {
  const counts = ALIKE.map((key) => {
    const value = settings.get(key);
    return value === undefined ? undefined : wordsOf([value]).length;
  });
  const [first, ...others] = counts;
  const isNoneSet = counts.every((count) => count === undefined);
  if (isNoneSet || (first !== undefined && others.every((count) => count === first))) {
    return undefined;
  }
  const shownCounts = ALIKE.map((key, at) => `${key} ${counts[at] ?? 'is not set'}`).join(', ');
  return `${ALIKE.join(', ')} have an effect only if each has as many words: ${shownCounts} (then that of the server counts)`;
}

function requireFormat(format: string): void {
  const fault = formatFault(format);
  if (fault !== undefined)
    throw invalid(`Formats: a name made with "${displayLine(format)}" ${fault}`);
}

function requireTag(tag: string): void {
  const fault = tagFault(tag);
  if (fault !== undefined) throw invalid(`a tag to keep ${fault}`);
}

function periodsOf(priorities: readonly string[], days: readonly string[]): PriorityPeriod[] {
  const [ranks, lengths] = [numbersOf(priorities, 'Priorities'), lengthsOf(days)];
  if (ranks.length !== lengths.length) {
    throw invalid(`there are ${ranks.length} Priorities and ${lengths.length} KeepPeriods`);
  }
  return ranks.map((priority, index) => ({ priority, days: lengths[index]! }));
}

function lengthsOf(days: readonly string[]): number[] {
  const lengths = numbersOf(days, 'KeepPeriods');
  if (lengths.some((length) => length < 0)) throw invalid('KeepPeriods has a negative time');
  return lengths;
}

function wordsOf(list: readonly string[]): string[] {
  return list.flatMap((word) => word.split(/[\s,]+/)).filter((word) => word !== '');
}

function numbersOf(list: readonly string[], where: string): number[] {
  return wordsOf(list).map((word) => {
    if (!/^-?\d{1,7}$/.test(word))
      throw invalid(`${where}: "${displayLine(word)}" is not a whole number`);
    return Number(word);
  });
}

/**
 * Returns a time such as 30d in milliseconds. Throws CONFIG_INVALID for another text; `what` is the setting in the
 * error.
 */
export function spanOf(text: string, what = '--keep-within'): number {
  const found = /^(\d{1,6})(h|d|w|mo?|y)$/i.exec(text);
  if (found === null) {
    throw invalid(
      `${what} is "${displayLine(text)}", but must be a time such as 12h, 30d, 8w, 6mo or 2y`,
    );
  }
  return Number(found[1]) * UNITS_MS[found[2]!.toLowerCase()]!;
}

function invalid(what: string): TardisError {
  return new TardisError('CONFIG_INVALID', what);
}
