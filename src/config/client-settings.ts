/**
 * Settings of the server that can be stored with a client. For this client they override the server's own settings. A
 * setting has the type of the row with its key in the settings table; a key without such a row is a text.
 */
import { TardisError } from '../errors/index.js';
import { isSettingValue } from '../model/index.js';
import { configInvalid } from './invalid.js';
import { nearest } from './nearest.js';
import type { ValueSpec } from './row.js';
import { allRows } from './settings.js';
import { shownText } from './displayed-text.js';
import { parseValue, type Value } from './values.js';

/** Description of each setting, by key. */
export const KEPT_KEYS: Readonly<Record<string, string>> = Object.freeze({
  MaxDeltaChain: 'longest chain of deltas; 0: store everything whole',
  MaxChangePercent: 'percentage of a file that may be new in a delta',
  SaveFull: 'store everything whole',
  SaveConfig: 'store the settings of the client with each set',
  Formats: 'formats of set names',
  Priorities: 'priority of each format',
  KeepPeriods: 'days to keep the sets of each format',
  KeepLast: 'newest sets to keep',
  KeepHourly: 'sets to keep, one an hour',
  KeepDaily: 'sets to keep, one a day',
  KeepWeekly: 'sets to keep, one a week',
  KeepMonthly: 'sets to keep, one a month',
  KeepYearly: 'sets to keep, one a year',
  KeepWithin: 'time within which all sets are kept',
  EndedAfter: 'time after which a series of sets has ended',
  KeepTags: 'tags of sets that are kept',
});

const SPECS: ReadonlyMap<string, ValueSpec> = new Map(
  allRows().flatMap(([, row]) => (row.serverKey === undefined ? [] : [[row.serverKey, row]])),
);
const TEXT: ValueSpec = { type: 'text' };

/** Returns the key in its usual spelling, regardless of case. Throws CONFIG_INVALID for an unknown key. */
export function keptKey(text: string): string {
  const keys = Object.keys(KEPT_KEYS);
  const found = keys.find((key) => key.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  const near = nearest(text, keys);
  const hint =
    near === undefined ? `it must be one of ${keys.join(', ')}` : `did you mean ${near}?`;
  throw configInvalid(`"${shownText(text)}" cannot be stored with a client: ${hint}`);
}

/** Parses the value of a key. Throws CONFIG_INVALID. */
export function keptValue(key: string, text: string): Value {
  if (!isSettingValue(text)) throw configInvalid(`the value of ${key} is too long`);
  return parseValue(text, SPECS.get(key) ?? TEXT, key);
}

/**
 * Parses the stored settings. Skips settings that this release does not understand, since another release may have
 * stored them.
 */
export function meantSettings(kept: ReadonlyMap<string, string>): ReadonlyMap<string, Value> {
  const meant = new Map<string, Value>();
  for (const [key, text] of kept) {
    try {
      meant.set(keptKey(key), keptValue(key, text));
    } catch (error) {
      if (error instanceof TardisError && error.code === 'CONFIG_INVALID') continue; // the server's own setting applies
      throw error;
    }
  }
  return meant;
}
