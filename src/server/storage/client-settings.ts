/** What the settings that are kept with a client change for its sessions. */
import { TardisError } from '../../errors/index.js';
import { meantSettings } from '../../config/index.js';
import { type Catalog, settingsOf } from '../../catalog/index.js';
import {
  type FormatWords,
  formatsOf,
  type NameFormat,
  NO_RULES,
  type RetentionRules,
  type RuleWords,
  serverRules,
} from '../../retention/index.js';
import type { StorageOptions } from './storage-options.js';

/** The server's options, but for what is kept with the client. */
export function optionsFor(catalog: Catalog, options: StorageOptions): StorageOptions {
  const kept = meantSettings(settingsOf(catalog));
  if (kept.size === 0) return options;
  const number = (key: string, otherwise: number): number => {
    const value = kept.get(key);
    return typeof value === 'number' ? value : otherwise;
  };
  const flag = (key: string, otherwise: boolean): boolean => {
    const value = kept.get(key);
    return typeof value === 'boolean' ? value : otherwise;
  };
  const { deltas, saveConfig = true } = options;
  return {
    ...options,
    deltas: {
      maxChain: number('MaxDeltaChain', deltas.maxChain),
      maxChangePercent: number('MaxChangePercent', deltas.maxChangePercent),
      saveFull: flag('SaveFull', deltas.saveFull),
    },
    saveConfig: flag('SaveConfig', saveConfig),
  };
}

/** Which sets of the client are kept: the server's rules, but for those that are kept with it. Throws CONFIG_INVALID. */
export function rulesFor(catalog: Catalog, words: RuleWords | undefined): RetentionRules {
  if (words === undefined) return NO_RULES;
  const own = new KeptWords(catalog);
  return serverRules({
    priorities: own.list('Priorities') ?? words.priorities,
    keepPeriods: own.list('KeepPeriods') ?? words.keepPeriods,
    keepLast: own.count('KeepLast') ?? words.keepLast,
    keepHourly: own.count('KeepHourly') ?? words.keepHourly,
    keepDaily: own.count('KeepDaily') ?? words.keepDaily,
    keepWeekly: own.count('KeepWeekly') ?? words.keepWeekly,
    keepMonthly: own.count('KeepMonthly') ?? words.keepMonthly,
    keepYearly: own.count('KeepYearly') ?? words.keepYearly,
    keepWithin: own.text('KeepWithin') ?? words.keepWithin,
    keepTags: own.list('KeepTags') ?? words.keepTags,
  });
}

/** How its sets are named; by the server's formats where those that are kept with it make no sense. */
export function formatsFor(catalog: Catalog, words: FormatWords | undefined): NameFormat[] {
  if (words === undefined) return [];
  const own = new KeptWords(catalog);
  const formats = own.list('Formats') ?? words.formats;
  try {
    return formatsOf({ formats, priorities: own.list('Priorities') ?? words.priorities });
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'CONFIG_INVALID') throw error;
    return formatsOf(words);
  }
}

/** What is kept with a client, by type. */
class KeptWords {
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
