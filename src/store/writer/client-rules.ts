/**
 * Retention rules and formats of set names. Settings stored with a client take precedence over those of the
 * server.
 */
import { type Catalog, settingsOf } from '../catalog/index.js';
import { meantSettings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import {
  type FormatWords,
  formatsOf,
  hasRules,
  type NameFormat,
  NO_RULES,
  RULES,
  ruleKey,
  type RetentionRules,
  type RuleWords,
  rulesOf,
  serverRules,
} from '../../retention/index.js';

/**
 * Returns a client's retention rules: the server's, overridden by settings stored with the client. Throws
 * CONFIG_INVALID.
 */
export function rulesFor(catalog: Catalog, words: RuleWords | undefined): RetentionRules {
  return words === undefined ? NO_RULES : serverRules(ownWords(catalog, words));
}

/** Returns the words of all rules: those stored with the client, and the server's for the remaining rules. */
function ownWords(catalog: Catalog, words: RuleWords): RuleWords {
  const kept = meantSettings(settingsOf(catalog));
  const own = RULES.map((rule) => [rule, kept.get(ruleKey(rule)) ?? words[rule]]);
  return Object.fromEntries(own) as RuleWords; // a stored value has the type of its rule
}

/**
 * Returns a client's retention rules: those stored with the client, and those of `words` for the rest. Undefined if
 * neither has any. Throws CONFIG_INVALID.
 */
export function ownRulesFor(catalog: Catalog, words: RuleWords): RetentionRules | undefined {
  const rules = rulesOf(ownWords(catalog, words));
  return hasRules(rules) ? rules : undefined;
}

/**
 * Returns the formats of the client's set names. If those stored with the client are invalid, the server's are
 * used.
 */
export function formatsFor(catalog: Catalog, words: FormatWords | undefined): NameFormat[] {
  if (words === undefined) return [];
  const kept = meantSettings(settingsOf(catalog));
  const listOf = (key: string): string[] | undefined => {
    const value = kept.get(key);
    return Array.isArray(value) ? value.map(String) : undefined;
  };
  const [formats, priorities] = [listOf('Formats'), listOf('Priorities')];
  try {
    return formatsOf({
      formats: formats ?? words.formats,
      priorities: priorities ?? words.priorities,
    });
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'CONFIG_INVALID') throw error;
    return formatsOf(words);
  }
}
