/** `sonic getconfig` and `setconfig`: settings of the server that are kept with a client, and hold for it. */
import { type Found, keptKey, type Settings } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { requireSetting } from '../keeper/index.js';
import { displayName } from '../model/index.js';
import { openClientSets } from './client-sets.js';
import { withReports } from './open-archive.js';
import { JSON_VERSION, print } from './run-tool.js';
import { formatTable } from './units.js';
import { storeSystem } from './local-store.js';

type Sources = ReadonlyMap<string, Found>;

export function getConfig(options: Settings<'sonic getconfig'>, found: Sources): Promise<void> {
  const keys = options.keysToShow.map(keptKey);
  return withReports(options, found, async (archive) => {
    const kept = new Map((await archive.reports.settings())?.map(({ key, value }) => [key, value]));
    const shown = keys.length === 0 ? [...kept.keys()] : keys;
    if (options.json) {
      const settings = Object.fromEntries(shown.map((key) => [key, kept.get(key) ?? null]));
      print(JSON.stringify({ version: JSON_VERSION, client: options.client, settings }));
      return;
    }
    const rows = shown.map((key) => {
      const value = kept.get(key);
      return [key, value === undefined ? '(not set)' : displayName(Buffer.from(value))];
    });
    if (rows.length > 0) print(formatTable(rows, []));
  });
}

/** Throws USAGE, CONFIG_INVALID. */
export async function setConfig(
  options: Settings<'sonic setconfig'>,
  found: Sources,
): Promise<void> {
  const { client, settingToKeep, removeSetting, rehearse, json } = options;
  const [given, value, ...others] = settingToKeep;
  const isWhole = removeSetting ? value === undefined : value !== undefined;
  if (given === undefined || !isWhole || others.length > 0) {
    throw new TardisError('USAGE', 'say a key and its value, or a key and --remove');
  }
  const key = requireSetting(given, value);
  const there = await openClientSets(storeSystem(options.umask), options, found);
  try {
    if (!rehearse) await there.changeSetting(key, value);
  } finally {
    there.close();
  }
  if (json) {
    const told = { client, key, value: value ?? null, ...(rehearse ? { isPreview: true } : {}) };
    print(JSON.stringify({ version: JSON_VERSION, ...told }));
    return;
  }
  if (value === undefined) {
    print(`${key} of "${client}" ${rehearse ? 'would not be' : 'is not'} set any more.`);
  } else {
    print(
      `${key} of "${client}" ${rehearse ? 'would be' : 'is'} ${displayName(Buffer.from(value))}.`,
    );
  }
}
