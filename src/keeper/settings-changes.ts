/** Settings that are kept with a client: each change is an event, durable when it is told. */
import { keptKey, keptValue } from '../config/index.js';
import { settingsOf } from '../catalog/index.js';
import { requireMeaning } from '../retention/index.js';
import type { ClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import type { StoreLimits } from './client-store.js';
import { changeSets } from './set-changes.js';

/** The key that a text means. `value` undefined: it is to be removed. Throws CONFIG_INVALID where one means nothing. */
export function requireSetting(text: string, value: string | undefined): string {
  const key = keptKey(text);
  if (value !== undefined) requireMeaning(key, keptValue(key, value));
  return key;
}

/** `value` undefined: it is not set any more. Throws CONFIG_INVALID, CLIENT_BUSY. */
export async function changeSetting(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  text: string,
  value: string | undefined,
): Promise<void> {
  const key = requireSetting(text, value);
  await changeSets(system, directory, limits, (_sets, catalog) => {
    if (settingsOf(catalog).get(key) === value) return [];
    return [{ type: 'setting', key, ...(value === undefined ? {} : { value }) }];
  });
}
