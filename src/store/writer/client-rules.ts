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
  const own = new ClientSettingWords(catalog);
  return {
    priorities: own.list('Priorities') ?? words.priorities,
    keepPeriods: own.list('KeepPeriods') ?? words.keepPeriods,
    keepLast: own.count('KeepLast') ?? words.keepLast,
    keepHourly: own.count('KeepHourly') ?? words.keepHourly,
    keepDaily: own.count('KeepDaily') ?? words.keepDaily,
    keepWeekly: own.count('KeepWeekly') ?? words.keepWeekly,
    keepMonthly: own.count('KeepMonthly') ?? words.keepMonthly,
    keepYearly: own.count('KeepYearly') ?? words.keepYearly,
    keepWithin: own.text('KeepWithin') ?? words.keepWithin,
    endedAfter: own.text('EndedAfter') ?? words.endedAfter,
    keepTags: own.list('KeepTags') ?? words.keepTags,
  };
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
  const own = new ClientSettingWords(catalog);
  const formats = own.list('Formats') ?? words.formats;
  try {
    return formatsOf({ formats, priorities: own.list('Priorities') ?? words.priorities });
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'CONFIG_INVALID') throw error;
    return formatsOf(words);
  }
}

/** Settings stored with a client, by type. */
class ClientSettingWords {
  private readonly kept: ReturnType<typeof meantSettings>;

  constructor(catalog: Catalog) {
    this.kept = meantSettings(settingsOf(catalog));
  }

  list(key: string): string[] | undefined {
    const value = this.kept.get(key);
    return Array.isArray(value) ? value.map(String) : undefined;
  }

  count(key: string): number | undefined {
    const value = this.kept.get(key);
    return typeof value === 'number' ? value : undefined;
  }

  text(key: string): string | undefined {
    const value = this.kept.get(key);
    return typeof value === 'string' ? value : undefined;
  }
}
