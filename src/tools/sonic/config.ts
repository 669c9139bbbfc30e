/**
 * Implements `sonic getconfig` and `setconfig`: settings of the server that are stored with a client and apply only to
 * it.
 */
import { keptKey, type Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import { lackOfEffect } from '../../retention/index.js';
import { requireSetting } from '../../store/writer/index.js';
import { displayLine } from '../../model/index.js';
import { openAdmin } from '../opening/admin.js';
import { unlockIfGiven } from '../opening/keys.js';
import { withReports } from '../opening/history.js';
import { print, printJson } from '../output/output.js';
import { formatTable } from '../output/units.js';
import { storeSystem } from '../opening/local-store.js';
import { complain } from '../output/command-names.js';

export function getConfig(options: Settings<'sonic getconfig'>): Promise<void> {
  const keys = options.keysToShow.map(keptKey);
  return withReports({ ...options, unlock: unlockIfGiven }, async (history) => {
    await history.sets(); // compares the sets with this machine's memory
    const kept = new Map((await history.reports.settings()).map(({ key, value }) => [key, value]));
    const shown = keys.length === 0 ? [...kept.keys()] : keys;
    if (options.json) {
      const settings = Object.fromEntries(shown.map((key) => [key, kept.get(key) ?? null]));
      return printJson({ client: options.client, settings });
    }
    const rows = shown.map((key) => {
      const value = kept.get(key);
      return [key, value === undefined ? '(not set)' : displayLine(value)];
    });
    if (rows.length > 0) print(formatTable(rows, []));
  });
}

/** Stores or removes a setting. Throws USAGE, CONFIG_INVALID. */
export async function setConfig(options: Settings<'sonic setconfig'>): Promise<void> {
  const { client, settingToKeep, removeSetting, rehearse, json } = options;
  const [given, value, ...others] = settingToKeep;
  const isWhole = removeSetting ? value === undefined : value !== undefined;
  if (given === undefined || !isWhole || others.length > 0) {
    throw usageError('give a key and its value, or a key and --remove');
  }
  const key = requireSetting(given, value);
  using there = await openAdmin(storeSystem(options.umask), options, unlockIfGiven);
  await there.sets(); // refuses a store that was rolled back
  const settings = new Map((await there.settings()).map((one) => [one.key, one.value]));
  if (value === undefined) settings.delete(key);
  else settings.set(key, value);
  const lack = lackOfEffect(settings);
  if (!rehearse) await there.changeSetting(key, value);
  if (lack !== undefined) complain('sonic', lack);
  const preview = rehearse ? { isPreview: true } : {};
  if (json) return printJson({ client, key, value: value ?? null, ...preview });
  if (value === undefined) {
    print(`${key} of "${client}" ${rehearse ? 'would no longer be' : 'is no longer'} set.`);
  } else {
    print(`${key} of "${client}" ${rehearse ? 'would be' : 'is now'} ${displayLine(value)}.`);
  }
}
