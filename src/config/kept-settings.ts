/**
 * Settings of the server that can be kept with a client, in its store: they hold for this client in place of the
 * server's own. They are rows of the table of settings by the same key, or texts.
 */
import { TardisError } from '../errors/index.js';
import { isSettingValue } from '../model/index.js';
import { nearest } from './nearest.js';
import type { ValueSpec } from './row.js';
import { allRows } from './settings.js';
import { shownText } from './shown.js';
import { parseValue, type Value } from './values.js';

/** By key, with what each is. */
export const KEPT_KEYS: Readonly<Record<string, string>> = Object.freeze({
  MaxDeltaChain: 'deltas on deltas at most; 0: everything is stored whole',
  MaxChangePercent: 'how much of a file may be new in a delta',
  SaveFull: 'whether everything is stored whole',
  SaveConfig: 'whether it is kept what the client was set to',
  Formats: 'formats of names of sets',
  Priorities: 'priority of each format',
  KeepPeriods: 'days to keep the sets of each format',
  KeepLast: 'newest sets to keep',
  KeepHourly: 'sets to keep, one an hour',
  KeepDaily: 'sets to keep, one a day',
  KeepWeekly: 'sets to keep, one a week',
  KeepMonthly: 'sets to keep, one a month',
  KeepYearly: 'sets to keep, one a year',
  KeepWithin: 'time within which all sets are kept',
  KeepTags: 'tags of sets that are kept',
});

const SPECS: ReadonlyMap<string, ValueSpec> = new Map(
  allRows().flatMap(([, row]) => (row.serverKey === undefined ? [] : [[row.serverKey, row]])),
);
const TEXT: ValueSpec = { type: 'text' };

/** The key as it is written, whatever the case. Throws CONFIG_INVALID. */
export function keptKey(text: string): string {
  const keys = Object.keys(KEPT_KEYS);
  const found = keys.find((key) => key.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  const near = nearest(text, keys);
  const hint = near === undefined ? `it can be one of ${keys.join(', ')}` : `did you mean ${near}?`;
  throw new TardisError(
    'CONFIG_INVALID',
    `"${shownText(text)}" is not kept with a client: ${hint}`,
  );
}

/** What a text means as the value of a key. Throws CONFIG_INVALID. */
export function keptValue(key: string, text: string): Value {
  if (!isSettingValue(text)) {
    throw new TardisError('CONFIG_INVALID', `the value of ${key} is too long`);
  }
  return parseValue(text, SPECS.get(key) ?? TEXT, key);
}

/** Those of a client that mean something to this release; what another one has kept here may not. */
export function meantSettings(kept: ReadonlyMap<string, string>): ReadonlyMap<string, Value> {
  const meant = new Map<string, Value>();
  for (const [key, text] of kept) {
    try {
      meant.set(keptKey(key), keptValue(key, text));
    } catch (error) {
      if (error instanceof TardisError && error.code === 'CONFIG_INVALID') continue; // the server's own holds
      throw error;
    }
  }
  return meant;
}
