/** Settings stored with a client. Each change is an event, durable before it is acknowledged. */
import { keptKey, keptValue } from '../../config/index.js';
import { settingsOf } from '../catalog/index.js';
import { requireMeaning } from '../../retention/index.js';
import type { ClientDirectory } from '../index.js';
import type { System } from '../../system/index.js';
import type { StoreLimits } from './store-writer.js';
import { changeSets } from './set-changes.js';

/**
 * Returns the settings key that a text names. If `value` is undefined, the setting is to be removed. Throws
 * CONFIG_INVALID if the key or the value is invalid.
 */
export function requireSetting(text: string, value: string | undefined): string {
  const key = keptKey(text);
  if (value !== undefined) requireMeaning(key, keptValue(key, value));
  return key;
}

/** Changes a setting; `value` undefined removes it. Throws CONFIG_INVALID, CLIENT_BUSY. */
export async function changeSetting(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  { text, value }: { readonly text: string; readonly value: string | undefined },
): Promise<void> {
  const key = requireSetting(text, value);
  await changeSets(system, directory, limits, (_sets, catalog) => {
    if (settingsOf(catalog).get(key) === value) return [];
    return [{ type: 'setting', key, ...(value === undefined ? {} : { value }) }];
  });
}
