/** Rules of a purge as a request gives them, by which a preview decides and which are stored with a client. */
import { ruleKey, rulesOfTexts } from '../../retention/index.js';
import { invalidRequest } from './problem.js';

/** Rules that delete nothing by themselves. */
const ADDING: ReadonlySet<string> = new Set(['KeepTags', 'EndedAfter', 'Priorities']);

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
  rulesOfTexts((rule) => rules[ruleKey(rule)] ?? before.get(ruleKey(rule)) ?? '');
  return Object.entries(rules).filter(([key, words]) => words !== (before.get(key) ?? ''));
}
