/** Rules of a purge as a request gives them, by which a preview decides and which are stored with a client. */
import {
  type RetentionRules,
  type RuleWords,
  rulesOf,
  USUAL_PRIORITIES,
} from '../../retention/index.js';
import { invalidRequest } from './problem.js';

/** Rules that delete nothing by themselves. */
const ADDING: ReadonlySet<string> = new Set(['KeepTags', 'EndedAfter', 'Priorities']);

type Lists = 'keepPeriods' | 'priorities' | 'keepTags';
type Given = Omit<RuleWords, Lists> & Readonly<Record<Lists, string>>;

/** Returns the rules of which each list is one text; an empty text is no rule. Throws CONFIG_INVALID. */
export function parsedRules({
  keepPeriods,
  priorities,
  keepTags,
  ...others
}: Given): RetentionRules {
  return rulesOf({
    ...others,
    keepPeriods: keepPeriods === '' ? undefined : wordsIn(keepPeriods),
    priorities: priorities === '' ? USUAL_PRIORITIES : wordsIn(priorities),
    keepTags: wordsIn(keepTags),
  });
}

/** Returns the words of a list with commas or blanks between them. */
function wordsIn(list: string): string[] {
  return list.split(/[,\s]+/).filter((word) => word !== '');
}

/** Returns rules without zeros, which are empty then. Throws REQUEST_INVALID if none of them deletes anything. */
export function checkedRules(given: Readonly<Record<string, string>>): Record<string, string> {
  const rules = Object.fromEntries(
    Object.entries(given).map(([key, words]) => [
      key,
      words === '0' && key !== 'KeepPeriods' ? '' : words.trim(),
    ]),
  );
  const keeping = Object.entries(rules).filter(([key]) => !ADDING.has(key));
  if (keeping.every(([, words]) => words === '')) throw invalidRequest('there is no rule');
  return rules;
}

/**
 * Returns the rules whose words differ from those that are stored with a client. Throws CONFIG_INVALID if they do not
 * fit the stored ones that stay, since each later purge would fail then.
 */
export function changedRules(
  rules: Readonly<Record<string, string>>,
  stored: readonly { readonly key: string; readonly value: string }[],
): [key: string, words: string][] {
  const before = new Map(stored.map(({ key, value }) => [key, value]));
  const after = (key: string): string => rules[key] ?? before.get(key) ?? '';
  parsedRules({
    keepLast: Number(after('KeepLast')),
    keepHourly: Number(after('KeepHourly')),
    keepDaily: Number(after('KeepDaily')),
    keepWeekly: Number(after('KeepWeekly')),
    keepMonthly: Number(after('KeepMonthly')),
    keepYearly: Number(after('KeepYearly')),
    keepWithin: after('KeepWithin'),
    endedAfter: after('EndedAfter'),
    keepPeriods: after('KeepPeriods'),
    priorities: after('Priorities'),
    keepTags: after('KeepTags'),
  });
  return Object.entries(rules).filter(([key, words]) => words !== (before.get(key) ?? ''));
}
